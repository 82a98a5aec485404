"""The gate at work on a real database: what waits, what is withheld and said so. The phones judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.integration.notifier.bench import Bench
from tests.integration.notifier.texts_out import NIGHT, OPENING, advance, asks, check_in, status


async def test_a_check_in_at_night_waits_for_nine_local(bench: Bench) -> None:
    patient = await bench.patient()
    await advance(bench, NIGHT)
    asked = check_in(bench, patient)
    await bench.hear(asked)
    await bench.settle()
    waiting = await bench.message(f"occurrence/{asked.occurrence_id}")
    assert (waiting.state, waiting.waits_for, waiting.not_before) == ("queued", "window", OPENING)
    await advance(bench, OPENING)
    assert len(await bench.phone_of(patient)) == 1


async def test_what_would_come_too_late_to_be_useful_is_withheld_at_once(bench: Bench) -> None:
    patient = await bench.patient()
    await advance(bench, NIGHT)
    asked = check_in(bench, patient, useful_until=NIGHT + timedelta(hours=2))
    await bench.hear(asked)
    await bench.settle()
    assert await status(bench, asked) == ("withheld", "quiet-hours")
    assert [each["why"] for each in await bench.said("message-withheld")] == ["quiet-hours"]


async def test_a_dose_is_texted_at_any_hour(bench: Bench) -> None:
    patient = await bench.patient()
    await advance(bench, NIGHT)
    await bench.hear(bench.dose(patient, slot_time="02:00"))
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1


async def test_a_dose_that_could_not_go_for_an_hour_expires(bench: Bench) -> None:
    patient = await bench.patient()
    late = bench.dose(patient, due_at=bench.now - timedelta(minutes=61), useful_until=bench.now + timedelta(hours=2))
    await bench.hear(late)
    await bench.settle()
    assert await status(bench, late) == ("expired", "too-late")
    assert await bench.phone_of(patient) == []


async def test_over_the_cap_a_check_in_waits_for_the_next_day_and_doses_go_on(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.plan(patient, 2, texts_a_day=20)
    for _ in range(6):
        await bench.hear(bench.dose(patient, version=2))
    await bench.settle()
    await advance(bench, datetime(2026, 11, 23, 15, 0, tzinfo=UTC))
    asked = check_in(bench, patient, plan_version=2, useful_until=bench.now + timedelta(days=2))
    await bench.hear(asked)
    await bench.hear(bench.dose(patient, version=2))
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 7
    waiting = await bench.message(f"occurrence/{asked.occurrence_id}")
    assert (waiting.waits_for, waiting.not_before) == ("cap", OPENING)


async def test_the_fuse_blows_at_twice_the_plans_own_day_and_ops_hears(bench: Bench) -> None:
    patient = await bench.patient()
    doses = [bench.dose(patient) for _ in range(6)]
    for dose in doses:
        await bench.hear(dose)
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 4
    assert [each["why"] for each in await bench.said("message-withheld")] == ["fuse", "fuse"]


async def test_a_welcome_goes_once_when_consent_and_plan_are_there(bench: Bench) -> None:
    patient = await bench.patient(plan=False)
    await advance(bench, OPENING)
    await bench.plan(patient)
    await bench.plan(patient, 2)
    await bench.settle()
    [text] = await bench.phone_of(patient)
    assert "HELP" in text["body"]
    assert "STOP" in text["body"]
    assert (await bench.message(f"welcome/{patient.id}")).cause_type == "plan-started"


async def test_a_question_of_a_running_conversation_goes_at_night_and_a_later_one_waits(bench: Bench) -> None:
    await advance(bench, NIGHT)
    awake, asleep = await bench.patient(last_inbound_at=bench.now), await bench.patient()
    for who in (awake, asleep):
        await bench.hear(asks(bench, who, uuid4()))
    await bench.settle()
    assert len(await bench.phone_of(awake)) == 1
    assert await bench.phone_of(asleep) == []


async def test_a_request_heard_twice_is_one_text_and_without_wording_none(bench: Bench) -> None:
    patient = await bench.patient(last_inbound_at=bench.now)
    once = asks(bench, patient, uuid4())
    await bench.hear(once)
    await bench.hear(once)
    await bench.hear(asks(bench, patient, uuid4()).model_copy(update={"item": "unheard-of"}))
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1
    assert [each["why"] for each in await bench.said("message-withheld")] == ["no-template"]
