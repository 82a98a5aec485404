"""The scheduler's database is put back: versions rise above every other, nothing is said twice, what was changed since waits."""

from __future__ import annotations

import pytest

from tests.integration.restore.patients import everything, hours, plan, texts_a_slot, three_a_day
from tests.integration.restore.restored import World

pytestmark = pytest.mark.slow
VERSIONS = """
select count(*) from scheduler.plan p
left join notifier.plan_state n using (patient_id) left join adherence.patient a using (patient_id)
where (n.plan_version, a.plan_version) is distinct from (p.version, p.version)
"""


def test_versions_rise_and_what_was_changed_since_is_not_guessed(world: World) -> None:
    clinic = world.clinic
    goes_on, changed = three_a_day(clinic), three_a_day(clinic)
    goes_on.advance(1, "09:00")
    backup = world.backup("scheduler", "t0")
    goes_on.advance(0, "12:30")
    steps = {"medicine": "m1", "effective_on": changed.today().isoformat(), "reason": "lab-result"}
    doses = [{"slot": slot, "quantity": "2", "unit": "tablet"} for slot in ("morning", "noon", "evening")]
    clinic.call("POST", f"/scheduler/patients/{changed.external}/plan/dose-change", steps | {"doses": doses})
    clinic.settle()
    enrolled = three_a_day(clinic)
    goes_on.advance(0, "18:30")
    before = everything(goes_on, changed)
    highest = int(world.sql("select max(plan_version) from notifier.plan_state"))
    world.restored("scheduler", backup)
    clinic.settle()
    assert everything(goes_on, changed) == before, "nothing is sent again"
    assert world.sql(VERSIONS) == "0", "readers have the state that the scheduler has"
    assert int(world.sql("select min(version) from scheduler.plan")) > highest
    assert world.rows("select status from notifier.plan_state order by status") == ["active", "paused", "stopped"]
    kinds = [alert["kind"] for alert in clinic.call("GET", "/adherence/alerts?state=open")]
    assert kinds.count("plan-review") == 1, "a person hears of the plan that is paused"
    clinic.call("PUT", f"/scheduler/patients/{enrolled.external}/plan", plan(enrolled))
    goes_on.advance(1, "18:30")
    assert sum(hours(goes_on).values()) == 6
    assert everything(changed) == before[1:], "an old dose is never asked for"
    assert sum(hours(enrolled).values()) == 3, "what is put in again is newer than what readers had heard of it"
    assert texts_a_slot(goes_on, changed, enrolled) == 1


def test_a_database_that_was_put_back_in_silence_is_refused(world: World) -> None:
    patient = three_a_day(world.clinic)
    patient.advance(1, "09:00")
    backup = world.backup("scheduler", "t0")
    patient.advance(0, "12:30")
    pid = world.stop("scheduler")
    world.put_back("scheduler", backup)
    world.start_again(pid)
    world.until_it_says("scheduler", "python -m shared.restore begin scheduler")
    world.begin("scheduler")
    world.until_ready(pid, "scheduler")
    patient.advance(0, "18:30")
    assert sum(hours(patient).values()) == 3
    assert texts_a_slot(patient) == 1
