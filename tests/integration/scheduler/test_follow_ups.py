"""Follow-ups, results and held medicines as they come due; a parked key."""

from __future__ import annotations

import pytest

from shared.events.adherence import AskingHeldV1, AskingResumedV1, FollowUpKeptV1
from shared.events.base import stable_id
from shared.events.due import DoseDueV1, ReviewDueV1
from shared.messaging.work import KEY_PARKED
from tests.integration.scheduler.conftest import CLINIC, House, a_dose, a_medicine, a_plan, medication, patient
from tests.integration.scheduler.moments import utc

pytestmark = pytest.mark.anyio


def held(version: int, model: type[AskingHeldV1] | type[AskingResumedV1]) -> AskingHeldV1 | AskingResumedV1:
    return model(
        clinic_id=CLINIC,
        patient_id=patient("p1"),
        medication_id=medication("p1"),
        hold_version=version,
        rule_set="gap-48h",
        at=utc(2026, 11, 23, 12),
    )


async def test_nobody_asks_to_take_a_medicine_that_is_held(house: House) -> None:
    await house.put("p1", a_plan(medicines=[a_medicine("m1"), a_medicine("m2")]))
    await house.run_to(utc(2026, 11, 23, 13))
    await house.said()
    await house.hear(held(1, AskingHeldV1))
    assert await house.types() == ["due-withdrawn"]
    await house.run_to(utc(2026, 11, 24, 13))
    [due] = await house.said()
    assert isinstance(due, DoseDueV1)
    assert [dose.medication_id for dose in due.doses] == [medication("p1", "m2")]
    await house.hear(held(2, AskingResumedV1))
    await house.hear(held(1, AskingHeldV1))
    await house.run_to(utc(2026, 11, 25, 13))
    [due] = await house.said()
    assert isinstance(due, DoseDueV1)
    assert len(due.doses) == 2


async def test_a_follow_up_that_was_kept_is_neither_due_nor_overdue(house: House) -> None:
    await house.put("p1", a_plan(medicines=[], follow_ups=[{"id": "f", "due_day": 2, "deadline_day": 3, "time": "10:00"}]))
    await house.said()
    kept = stable_id(patient("p1"), "follow-up", "f")
    event = FollowUpKeptV1(
        clinic_id=CLINIC, patient_id=patient("p1"), follow_up_id=kept, at=utc(2026, 11, 23, 2), source="person"
    )
    await house.hear(event)
    await house.run_to(utc(2026, 12, 3, 0))
    assert await house.types() == ["plan-completed"]


async def test_a_follow_up_goes_from_due_to_overdue_with_the_appointments_outcome(house: House) -> None:
    await house.put("p1", a_plan(medicines=[], follow_ups=[{"id": "f", "due_day": 2, "deadline_day": 3, "time": "10:00"}]))
    await house.call("PUT", "/patients/p1/appointments/a1", {"starts_at": "2026-11-25T15:00", "follow_up": "f"})
    await house.run_to(utc(2026, 11, 26, 13))
    await house.call("POST", "/patients/p1/appointments/a1/outcome", {"outcome": "missed"})
    await house.run_to(utc(2026, 11, 26, 14))
    assert await house.types() == [
        "plan-started",
        "appointment-booked",
        "follow-up-due",
        "appointment-reminder-due",
        "appointment-missed",
        "follow-up-overdue",
    ]


async def test_while_the_key_is_parked_nothing_advances_by_itself(house: House) -> None:
    steps = ({"from_day": 1, "doses": [a_dose()]}, {"from_day": 2, "doses": [a_dose(quantity="2")]})
    await house.put("p1", a_plan(medicines=[a_medicine("m1", *steps, kind="titration")]))
    await house.said()
    row = (
        "INSERT INTO scheduler.due_work (kind, ref, key, clinic_id, due_at, data, attempts, state, error) "
        f"VALUES ('other', 'x', '{patient('p1')}', '{CLINIC}', '2026-11-23', '{{}}', 5, 'parked', 'Broken')"
    )
    async with house.runtime.unit() as unit:
        await unit.conn.exec_driver_sql(row)
    await house.run_to(utc(2026, 11, 24, 12, 30))
    assert await house.said() == []
    async with house.runtime.unit() as unit:
        await unit.conn.exec_driver_sql("DELETE FROM scheduler.due_work WHERE state = 'parked'")
    await house.run_to(utc(2026, 11, 24, 13))
    assert await house.types() == ["dose-changed", "due-expired", "dose-due"]


async def test_a_result_on_record_stops_the_reminder(house: House) -> None:
    level = {"id": "level", "due_day": 3, "every_days": 7, "deadline_days": 2}
    await house.put("p1", a_plan(medicines=[], monitoring=[level]))
    await house.call("POST", "/patients/p1/monitoring/level/results", {"recorded_on": "2026-11-22"})
    await house.run_to(utc(2026, 12, 3, 0))
    assert await house.types() == ["plan-started", "result-recorded", "monitoring-due"]


@pytest.mark.parametrize("released", [False, True])
async def test_a_key_that_is_still_parked_is_told_to_the_care_team_once(house: House, released: bool) -> None:
    await house.put("p1", a_plan())
    await house.said()
    async with house.runtime.unit() as unit:
        await unit.plan_work(KEY_PARKED, "event@then", unit.now, key=patient("p1"), clinic_id=CLINIC)
        if not released:
            await unit.conn.exec_driver_sql(
                "INSERT INTO scheduler.due_work (kind, ref, key, clinic_id, due_at, data, attempts, state, error) "
                f"VALUES ('other', 'x', '{patient('p1')}', '{CLINIC}', '2026-11-23', '{{}}', 5, 'parked', 'Broken')"
            )
    await house.fire()
    said = await house.said()
    if released:
        assert said == []
    else:
        [told] = said
        assert isinstance(told, ReviewDueV1)
        assert (told.patient_id, told.reason, told.zone) == (patient("p1"), "key-parked", "America/New_York")
