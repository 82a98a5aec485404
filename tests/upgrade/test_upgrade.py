"""From the release of deploy/upgrade-from to the present one and back, process by process, while plans and texts go on.

    earlier code, its schema -> migrate under it -> earlier code on the new schema -> a service at a time to the present code
    -> present code -> a service at a time back to the earlier code -> earlier code on the new schema

In every step doses and check-ins fall due and patients answer; a service is swapped while they do. The judge after each step: the
provider's ledger against the oracle; every text sent once, nothing parked. This is what "expand, then contract a release later"
has to hold for, in both directions (docs/operations/upgrade.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count

import pytest

from shared.events.registry import SERVICES
from tests.cluster.clinic import _UNDER_WAY, Clinic, Patient, at, slots
from tests.support.waiting import wait_until
from tests.upgrade.release import Release, present
from tests.upgrade.rolling import RollingWorld

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
PATIENTS = 10
#: Two releases' processes side by side, on a machine that may be busy.
SETTLES_WITHIN = 300.0
DOUBT_AT_MOST = 0.02
ANSWERING = 3


class PatientClinic(Clinic):
    """Waits longer: nothing here is about speed."""

    def settle(self, within: float = SETTLES_WITHIN) -> None:
        try:
            super().settle(within)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._why_not()}") from None

    def _why_not(self) -> str:
        """What a person would look at next."""
        kafka = self.world.kafka
        behind = {service: kafka.lag(service) for service in SERVICES}
        rows = self.world.database.sql(_UNDER_WAY, now=self.world.now().isoformat())
        return f"under way {rows}, something unsent: {self._unsent()}, records not confirmed: {behind}"


class Upgrade:
    """One clinic through all steps. `step` moves to the next planned time, lets `meanwhile` happen, and has all of it judged."""

    def __init__(self, world: RollingWorld) -> None:
        self.world = world
        self.clinic = PatientClinic(world)
        self.moments = _moments(world)
        self.answered: dict[str, int] = {}
        self.report: list[str] = []

    def step(self, name: str, *swapped: str, migrate: Release | None = None) -> None:
        moment = next(self.moments)
        self.world.to(moment)
        if migrate is not None:
            migrate.migrate(self.world.database)
        for service in swapped:
            self.world.swap(service)
        verdict = self.clinic.good()
        # Nothing is broken here, so a text is sent; a machine too busy to answer in time may leave a few in doubt.
        assert set(verdict.counts) <= {"sent", "unconfirmed"}, f"{name}: {verdict}"
        assert verdict.counts["unconfirmed"] <= verdict.counts["sent"] * DOUBT_AT_MOST, f"{name}: {verdict}"
        for patient in self.clinic.patients[:ANSWERING]:
            self._answer(patient, moment)
        self.report.append(f"{name}: {verdict}")

    def _answer(self, patient: Patient, moment: datetime) -> None:
        """To a dose; a check-in of the same hour has another question."""
        if moment.strftime("%H:%M") == "10:00":
            return
        hook = self.world.call("POST", "/phone/replies", {"from": patient.number, "body": "1"})["webhook"]
        assert hook["http"] == 200, hook
        self.answered[patient.external] = self.answered.get(patient.external, 0) + 1

    def all_answers_are_on_record(self) -> None:
        for patient, wanted in self.answered.items():
            wait_until(lambda who=patient: self._taken(who), within=60, what="an answer is on record")  # type: ignore[misc]
            assert self._taken(patient) == wanted

    def _taken(self, patient: str) -> int:
        timeline = self.world.call("GET", f"/adherence/patients/{patient}/timeline")
        return sum(entry["kind"] == "dose-taken" for entry in timeline)

    def nothing_is_parked(self) -> None:
        for service in SERVICES:
            parked = self.world.call("GET", f"/{service}/parked")
            assert not parked, f"{service} has parked {len(parked)} events: the releases do not understand each other"


def _moments(world: RollingWorld) -> Iterator[datetime]:
    return (at(world, wall, day) for day in count() for wall in slots(day))


def test_forward_and_back_with_texts_on_their_way(
    world: RollingWorld, earlier: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    world.start(notifier=2 if world.broker.real else 1)
    upgrade = Upgrade(world)
    clinic = upgrade.clinic
    clinic.enrol(PATIENTS)
    upgrade.step("earlier release")
    upgrade.step("migrated to the present schema while the earlier release works", migrate=present())
    clinic.enrol(PATIENTS)
    upgrade.step("earlier release on the present schema, new patients")
    world.release = present()
    for service in SERVICES:
        upgrade.step(f"{service} to the present release", service)
    clinic.enrol(PATIENTS)
    upgrade.step("present release, new patients")
    world.release = earlier
    for service in reversed(SERVICES):
        upgrade.step(f"{service} back to the earlier release", service)
    clinic.enrol(PATIENTS)
    upgrade.step("earlier release again, on the present schema, new patients")
    clinic.settle()
    upgrade.all_answers_are_on_record()
    upgrade.nothing_is_parked()
    with capsys.disabled():
        print("", *upgrade.report, f"{sum(upgrade.answered.values())} answers on record, nothing parked", sep="\n    ")
