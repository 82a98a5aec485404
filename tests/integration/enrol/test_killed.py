"""kill -9 in the middle: of the command, whose next run finishes what was begun, and of a service, whose return it waits for."""

from __future__ import annotations

import os
import signal

import pytest

from tests.integration.enrol.conftest import Clinic, Json
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
PATIENTS = 1000


def patients(prefix: str) -> Json:
    doses = [{"slot": "morning", "quantity": "1", "unit": "tablet"}]
    plan = {"slots": {"morning": "08:00"}, "medicines": [{"id": "m1", "label": "it", "steps": [{"doses": doses}]}]}
    consent = {"given_on": "2026-01-05", "how": "paper", "to_whom": "desk"}
    area = 300 + sum(map(ord, prefix)) % 600
    return {
        "steadypath": 1,
        "patients": [
            {
                "id": f"{prefix}{number}",
                "name": "Somebody",
                "phone": f"+1{area}555{number:04d}",
                "zone": "America/Chicago",
                "consent": consent,
                "plan": plan,
                "care_team": [{"person": "on-call"}],
            }
            for number in range(PATIENTS)
        ],
    }


def whole(clinic: Clinic, prefix: str) -> bool:
    tables = ("notifier.contact", "notifier.consent", "notifier.label", "scheduler.plan")
    return all(clinic.count(table, prefix) == PATIENTS for table in tables)


def test_a_run_that_was_killed_is_finished_by_the_next(clinic: Clinic) -> None:
    path = clinic.file("killed.json", patients("killed-"))
    with clinic.start("--json", path) as process:
        wait_until(lambda: clinic.count("scheduler.plan", "killed-") > 0, within=60, what="the first plans are in")
        process.kill()
    begun = clinic.count("scheduler.plan", "killed-")
    assert 0 < begun < PATIENTS, "the kill came too late to show anything"
    ran = clinic.enrol(path)
    assert ran.code == 0
    outcomes = [row["outcome"] for row in ran.rows if row["item"].startswith("patient/")]
    assert set(outcomes) == {"enrolled", "unchanged"}
    assert outcomes.count("unchanged") >= begun - 250  # those that went in and were not reported
    assert whole(clinic, "killed-")
    again = clinic.enrol(path)
    assert (again.code, {row["outcome"] for row in again.rows}) == (0, {"unchanged"})
    assert {clinic.get(f"/scheduler/patients/killed-{one}/plan").body["plan_version"] for one in range(0, PATIENTS, 97)} == {1}


def test_all_or_nothing_killed_before_the_end_has_activated_nothing(clinic: Clinic) -> None:
    path = clinic.file("all.json", patients("whole-"))
    with clinic.start("--json", "--all-or-nothing", path) as process:
        wait_until(lambda: clinic.count("notifier.contact", "whole-") > 0, within=60, what="the first contacts are stored")
        process.kill()
    assert clinic.count("scheduler.plan", "whole-") == 0
    ran = clinic.enrol("--all-or-nothing", path)
    assert (ran.code, {row["outcome"] for row in ran.rows}) == (0, {"enrolled"})
    assert whole(clinic, "whole-")


@pytest.mark.parametrize("service", ["scheduler", "notifier"])
def test_a_service_that_is_killed_is_waited_for(clinic: Clinic, service: str) -> None:
    prefix = f"{service}-"
    with clinic.start("--json", clinic.file("wait.json", patients(prefix))) as process:
        wait_until(lambda: clinic.count("notifier.contact", prefix) > 0, within=60, what="the first contacts are in")
        pid = clinic.up.pid_of(service)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        out, errors = process.communicate(timeout=240)
    assert (process.returncode, errors) == (0, "")
    assert out.count('"refused"') == 0
    assert whole(clinic, prefix)
    wait_until(clinic.up.ready, within=60, what="all services are back")
