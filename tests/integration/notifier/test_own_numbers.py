"""The fuse, and a clinic's own numbers, at the gate: what is counted, and whose number counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.notifier.storage.hearing_tables import clinic_settings
from tests.integration.notifier.bench import CLINIC, Bench
from tests.integration.notifier.texts_out import OPENING, advance, alert, asks, check_in, raised, status

pytestmark = pytest.mark.anyio


async def clinic_has(bench: Bench, **numbers: Any) -> None:
    async with bench.runtime.unit() as unit:
        mine = clinic_settings.c.clinic_id == CLINIC
        await unit.conn.execute(update(clinic_settings).where(mine).values(numbers=numbers))


async def test_a_dose_asked_for_once_a_day_is_never_asked_for_three_times(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.plan(patient, 2, texts_a_day=1)
    for _ in range(3):
        await bench.hear(bench.dose(patient, version=2))
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 2
    assert [each["why"] for each in await bench.said("message-withheld")] == ["fuse"]


async def test_no_lesson_or_lab_keeps_a_dose_from_being_asked_about(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.plan(patient, 2, texts_a_day=1)
    await advance(bench, OPENING)
    for _ in range(4):
        await bench.hear(check_in(bench, patient, plan_version=2))
    await bench.settle()
    dose = bench.dose(patient, version=2)
    await bench.hear(dose)
    await bench.settle()
    assert await status(bench, dose) == ("delivered", None)


async def test_an_old_dose_of_a_plan_that_asks_for_nothing_is_withheld_for_its_version(bench: Bench) -> None:
    """Not for a blown fuse, of which ops would hear."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.plan(patient, 2, status="stopped", texts_a_day=0)
    await bench.settle()
    assert await status(bench, dose) == ("withheld", "old-plan-version")


async def test_the_clinics_own_cap_and_lateness_count(bench: Bench) -> None:
    patient = await bench.patient()
    await clinic_has(bench, texts_a_day=1, dose_late_after="PT20M")
    await advance(bench, OPENING)
    first, second = check_in(bench, patient), check_in(bench, patient, useful_until=bench.now + timedelta(days=2))
    late = bench.dose(patient, due_at=bench.now - timedelta(minutes=21))
    for event in (first, second, late):
        await bench.hear(event)
        await bench.settle()
    assert await status(bench, first) == ("delivered", None)
    assert (await bench.message(f"occurrence/{second.occurrence_id}")).waits_for == "cap"
    assert await status(bench, late) == ("expired", "too-late")


async def test_the_clinics_own_conversation_and_alert_cap_count(bench: Bench) -> None:
    patient, nurse = await bench.patient(last_inbound_at=bench.now), await bench.staff()
    await clinic_has(bench, conversation_runs_for="PT5M", alerts_an_hour=1)
    await bench.forward(minutes=6)  # 08:06: a check-in waits for 09:00, a question of a running conversation would not
    request = asks(bench, patient, patient.id).model_copy(update={"useful_until": bench.now + timedelta(hours=3)})
    await bench.hear(request)
    await bench.settle()
    assert (await bench.message(f"request/{patient.id}")).waits_for == "window"
    await bench.forward(hours=2)
    for code in ("A7K2", "B8M3"):
        await bench.hear(raised(patient, alert(bench, patient, nurse, code=code)))
    await bench.settle()
    assert len(await bench.phone_of(nurse)) == 1
