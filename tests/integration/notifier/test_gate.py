"""The gate at work on a real database: what waits, what is withheld and said so, what a new plan version does, and what carries
many alerts at once. The phones judge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.notifier import switch
from services.notifier.storage import wishes
from services.notifier.switch import SwitchIn
from shared.events.adherence import (
    AlertAcknowledgedV1,
    AlertEscalatedV1,
    AlertRaisedV1,
    AlertSnapshot,
    AskingHeldV1,
    AskingResumedV1,
    MessageRequestedV1,
)
from shared.events.due import CheckInDueV1, DoseQuantity, DueExpiredV1, DueWithdrawnV1
from shared.identity import Caller
from tests.integration.notifier.bench import CLINIC, Bench, Someone

NIGHT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # 02:00 in New York
OPENING = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)  # 09:00 in New York


async def advance(bench: Bench, to: datetime) -> None:
    await bench.forward(seconds=(to - bench.now).total_seconds())


def check_in(bench: Bench, who: Someone, **changes: Any) -> CheckInDueV1:
    dose = bench.dose(who).model_dump()
    values = dose | {"instrument": "mood", "item": "mood", "useful_until": bench.now + timedelta(hours=12)}
    return CheckInDueV1(**(values | changes))


def alert(bench: Bench, about: Someone, to: Someone | None, **changes: Any) -> AlertSnapshot:
    values: dict[str, Any] = {
        "alert_id": uuid4(),
        "code": "A7K2",
        "kind": "missed-check-in",
        "severity": "low",
        "state": "open",
        "dedup_key": f"test/{about.id}/{uuid4()}",
        "recipient_id": to.id if to else None,
        "step": 0,
        "deadline_at": bench.now + timedelta(hours=1),
        "raised_at": bench.now,
    }
    return AlertSnapshot(**(values | changes))


def raised(about: Someone, snapshot: AlertSnapshot, version: int = 1) -> AlertRaisedV1:
    return AlertRaisedV1(clinic_id=CLINIC, patient_id=about.id, alert_version=version, alert=snapshot)


async def status(bench: Bench, event: Any) -> tuple[str, str | None]:
    text = await bench.message(f"occurrence/{event.occurrence_id}")
    return text.state, text.why


# --- waiting ---------------------------------------------------------------------------------------------------------------


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


# --- plan versions -----------------------------------------------------------------------------------------------------------


async def test_an_unseen_version_waits_until_its_plan_is_heard(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient, version=2)
    await bench.hear(dose)
    await bench.settle()
    assert await bench.phone_of(patient) == []
    await bench.plan(patient, 2)
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1


async def test_an_unseen_version_is_withheld_once_useless(bench: Bench) -> None:
    patient = await bench.patient(plan=False)
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.forward(hours=2)
    assert await status(bench, dose) == ("withheld", "version-not-seen")


async def test_an_old_version_is_withheld_and_its_reissue_is_the_one_text(bench: Bench) -> None:
    patient = await bench.patient()
    old = bench.dose(patient)
    await bench.hear(old)
    await bench.plan(patient, 2)
    await bench.settle()
    assert await status(bench, old) == ("withheld", "old-plan-version")
    reissue = bench.dose(patient, occurrence=old.occurrence_id, version=2)
    await bench.hear(reissue)
    await bench.hear(reissue)
    await bench.hear(old)
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1
    await bench.hear(bench.dose(patient, occurrence=old.occurrence_id, version=3))
    await bench.plan(patient, 3)
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1


@pytest.mark.parametrize("order", ["due-first", "withdrawn-first"])
async def test_a_withdrawn_occurrence_is_never_texted_in_either_order(bench: Bench, order: str) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    withdrawn = DueWithdrawnV1(
        clinic_id=CLINIC,
        patient_id=patient.id,
        occurrence_id=dose.occurrence_id,
        plan_version=2,
        kind="dose-due",
        reason="dose-changed",
    )
    for event in (dose, withdrawn) if order == "due-first" else (withdrawn, dose):
        await bench.hear(event)
    await bench.plan(patient, 2)
    await bench.settle()
    assert await status(bench, dose) == ("withheld", "withdrawn")
    assert await bench.phone_of(patient) == []


async def test_a_withdrawal_after_the_text_changes_nothing(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.settle()
    values = {"clinic_id": CLINIC, "patient_id": patient.id, "occurrence_id": dose.occurrence_id, "kind": "dose-due"}
    await bench.hear(DueWithdrawnV1(**values, plan_version=2, reason="dose-changed"))
    await bench.hear(DueExpiredV1(**values, plan_version=2, due_at=bench.now, reason="outage"))
    assert await status(bench, dose) == ("delivered", None)


async def test_a_plan_that_is_paused_asks_nothing(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.plan(patient, 2, status="paused")
    dose = bench.dose(patient, version=2)
    await bench.hear(dose)
    await bench.settle()
    assert await status(bench, dose) == ("withheld", "plan-not-active")


async def test_a_held_medicine_is_not_asked_for_until_resumed(bench: Bench) -> None:
    patient = await bench.patient()
    medicine = uuid4()
    hold = {"clinic_id": CLINIC, "patient_id": patient.id, "medication_id": medicine, "rule_set": "gap-48h", "at": bench.now}
    doses = (DoseQuantity(medication_id=medicine, quantity=1, unit="tablet"),)
    held, after = bench.dose(patient, doses=doses), bench.dose(patient, doses=doses)
    await bench.hear(AskingHeldV1(**hold, hold_version=1))
    await bench.hear(held)
    await bench.settle()
    assert await status(bench, held) == ("withheld", "asking-held")
    await bench.hear(AskingResumedV1(**hold, hold_version=2))
    await bench.hear(AskingHeldV1(**hold, hold_version=1))
    await bench.hear(after)
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1


# --- alerts ------------------------------------------------------------------------------------------------------------------


async def test_an_alert_is_texted_with_its_code_and_no_name(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, OPENING)
    await bench.hear(raised(patient, alert(bench, patient, nurse)))
    await bench.settle()
    [text] = await bench.phone_of(nurse)
    assert text["body"].startswith("Steadypath A7K2, low: missed check-in. Reply with the code to acknowledge. http")
    [sent] = await bench.said("message-sent")
    assert (sent["person_id"], sent["patient_id"], sent["kind"]) == (str(nurse.id), str(patient.id), "alert")


async def test_a_low_alert_waits_for_the_window_and_a_crisis_does_not(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, NIGHT)
    await bench.hear(raised(patient, alert(bench, patient, nurse)))
    await bench.hear(raised(patient, alert(bench, patient, nurse, code="B8M3", severity="crisis", kind="crisis")))
    await bench.settle()
    assert ["B8M3" in text["body"] for text in await bench.phone_of(nurse)] == [True]
    await advance(bench, OPENING)
    assert len(await bench.phone_of(nurse)) == 2


async def test_an_acknowledged_alert_is_not_paged_any_more(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, NIGHT)
    snapshot = alert(bench, patient, nurse)
    await bench.hear(raised(patient, snapshot))
    over = snapshot.model_copy(update={"state": "acknowledged"})
    taken = AlertAcknowledgedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=2, alert=over, by=None, how="board")
    await bench.hear(taken)
    escalated = AlertEscalatedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=1, alert=snapshot, why="deadline")
    await bench.hear(escalated)
    await advance(bench, OPENING)
    assert await bench.phone_of(nurse) == []
    assert [each["why"] for each in await bench.said("message-withheld")] == ["withdrawn"]


async def test_an_alert_that_cannot_go_is_withheld_so_that_it_escalates(bench: Bench) -> None:
    patient, gone = await bench.patient(), Someone(uuid4(), "+12125550000")
    nurse = await bench.staff()
    async with bench.runtime.unit() as unit:
        await unit.lock(nurse.id)
        await wishes.opt_out(unit, nurse.id, "staff")
    await bench.hear(raised(patient, alert(bench, patient, gone, severity="high")))
    await bench.hear(raised(patient, alert(bench, patient, nurse, severity="high")))
    await bench.settle()
    said = await bench.said("message-withheld")
    assert sorted(each["why"] for each in said) == ["no-contact", "opted-out"]
    assert {each["person_id"] for each in said} == {str(gone.id), str(nurse.id)}


async def test_low_alerts_over_the_hours_cap_go_as_one_digest_that_speaks_for_each(bench: Bench) -> None:
    nurse = await bench.staff()
    await advance(bench, OPENING)
    patients = [await bench.patient() for _ in range(14)]
    snapshots = [alert(bench, patient, nurse, code=f"C{n // 10}K{n % 10}") for n, patient in enumerate(patients, 10)]
    for patient, snapshot in zip(patients, snapshots, strict=True):
        await bench.hear(raised(patient, snapshot))
    await bench.settle()
    assert len(await bench.phone_of(nurse)) == 10
    await bench.forward(minutes=61)
    texts = await bench.phone_of(nurse)
    assert len(texts) == 11
    assert texts[-1]["body"].startswith("Steadypath: 4 open alerts, low.")
    sent = {each["alert_id"] for each in await bench.said("message-sent")}
    assert sent == {str(each.alert_id) for each in snapshots}


# --- the rest ----------------------------------------------------------------------------------------------------------------


def ops_caller() -> Caller:
    return Caller(clinic_id=CLINIC, key_id=uuid4(), roles=frozenset({"ops"}), name="ops")


async def test_the_switch_withholds_all_but_a_crisis(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    async with bench.runtime.unit() as unit:
        await switch.put(unit, ops_caller(), SwitchIn(sending="off", reason="wrong texts"))
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.hear(raised(patient, alert(bench, patient, nurse, severity="crisis", kind="crisis")))
    await bench.settle()
    assert await status(bench, dose) == ("withheld", "switched-off")
    assert await bench.phone_of(patient) == []
    assert len(await bench.phone_of(nurse)) == 1


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


def asks(bench: Bench, who: Someone, request: UUID) -> MessageRequestedV1:
    return MessageRequestedV1(
        clinic_id=CLINIC,
        patient_id=who.id,
        request_id=request,
        purpose="question",
        instrument="dose",
        item="why-skipped",
        running_conversation=True,
        useful_until=bench.now + timedelta(hours=1),
    )


async def test_a_request_heard_twice_is_one_text_and_without_wording_none(bench: Bench) -> None:
    patient = await bench.patient(last_inbound_at=bench.now)
    once = asks(bench, patient, uuid4())
    await bench.hear(once)
    await bench.hear(once)
    await bench.hear(asks(bench, patient, uuid4()).model_copy(update={"item": "unheard-of"}))
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1
    assert [each["why"] for each in await bench.said("message-withheld")] == ["no-template"]
