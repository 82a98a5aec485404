"""Plan versions at the gate: what waits for one, what a new one withholds, reissues or takes back."""

from __future__ import annotations

from itertools import permutations
from uuid import uuid4

import pytest

from services.notifier.storage import messages
from shared.events.adherence import (
    AskingHeldV1,
    AskingResumedV1,
)
from shared.events.base import Event
from shared.events.due import DoseQuantity, DueExpiredV1, DueWithdrawnV1
from shared.events.plans import PlanSnapshot, PlanStartedV1
from tests.integration.notifier.bench import CLINIC, ZONE, Bench, Someone
from tests.integration.notifier.texts_out import status


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


def _about_one_dose(bench: Bench, patient: Someone) -> list[Event]:
    """Its due event, a plan of a newer version, the reissue under it, and both ways in which an occurrence ends."""
    due = bench.dose(patient)
    reissue = bench.dose(patient, occurrence=due.occurrence_id, version=2, slot_time="09:00")
    ids = {"clinic_id": CLINIC, "patient_id": patient.id}
    occurrence = ids | {"occurrence_id": due.occurrence_id, "kind": "dose-due", "plan_version": 3}
    snapshot = PlanSnapshot(plan_id=uuid4(), status="active", zone=ZONE, starts_on=bench.now.date(), texts_a_day=2)
    return [
        due,
        PlanStartedV1(**ids, plan_version=2, plan=snapshot),
        reissue,
        DueWithdrawnV1(**occurrence, reason="dose-changed"),
        DueExpiredV1(**occurrence, due_at=bench.now, reason="outage"),
    ]


async def test_what_is_heard_in_one_batch_comes_to_what_it_comes_to_one_by_one(bench: Bench) -> None:
    """In whatever order, and however few of them."""
    for size in (2, 3):
        for order in permutations(range(5), size):
            stands = []
            for together in (True, False):
                patient = await bench.patient()
                about = _about_one_dose(bench, patient)
                events = [about[each] for each in order]
                for heard in [events] if together else [[each] for each in events]:
                    await bench.hear(*heard)
                stands.append(await _stand_of(bench, patient))
            assert stands[0] == stands[1], order


async def _stand_of(bench: Bench, patient: Someone) -> list[tuple[object, ...]]:
    """The patient's texts, without ids; the epoch counts the moves."""
    names = ("state", "why", "waits_for", "epoch", "params", "plan_version", "cause_type", "not_before", "useful_until")
    async with bench.runtime.unit() as unit:
        texts = await messages.listed(unit, CLINIC, patient_id=patient.id)
    return [tuple(getattr(text, name) for name in names) for text, _, _ in texts]


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
