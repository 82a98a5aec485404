"""plans.v1: every plan event is the whole of what we keep of a plan, under its version. An older one changes nothing."""

from __future__ import annotations

from datetime import timedelta

from services.notifier.domain.message import MessageDraft
from services.notifier.storage import contacts, messages, plans, welcomes
from shared.defaults import default
from shared.events import plans as events
from shared.events.plans import PlanEvent
from shared.messaging.unit import Handlers, Unit

_WELCOME_USEFUL: timedelta = default("notifier", "welcome_useful_for")


async def on_plan(unit: Unit, event: PlanEvent) -> None:
    """Keeps the snapshot, lets go what waited for this version, and welcomes whom nobody has welcomed yet."""
    if not await plans.keep(unit, event):
        return
    await messages.release_waiting_for_plan(unit, event.patient_id, event.plan_version)
    await _welcome(unit, event)
    if event.plan.status == "active":
        await welcomes.ask_again(unit, [event.patient_id])


async def _welcome(unit: Unit, event: PlanEvent) -> None:
    """Once a person has consented and their plan says where they live. The key makes a second one impossible."""
    facts = (await contacts.gate_facts(unit, [event.patient_id])).get(event.patient_id)
    if facts is None or not facts.consent or facts.welcome_sent or event.plan.status != "active" or unit.cause is None:
        return
    await messages.queue(
        unit,
        MessageDraft(
            key=f"welcome/{event.patient_id}",
            kind="welcome",
            clinic_id=event.clinic_id,
            patient_id=event.patient_id,
            template="welcome",
            cause=unit.cause.id,
            cause_type=event.type,
            not_before=unit.now,
            useful_until=unit.now + _WELCOME_USEFUL,
        ),
    )


HANDLERS: Handlers = dict.fromkeys(
    (
        events.PlanStartedV1,
        events.DoseChangedV1,
        events.MedicationAddedV1,
        events.MedicationRemovedV1,
        events.MedicationSwitchedV1,
        events.TaperStartedV1,
        events.PlanPausedV1,
        events.PlanResumedV1,
        events.PlanStoppedV1,
        events.PlanCompletedV1,
        events.AppointmentBookedV1,
        events.AppointmentMovedV1,
        events.AppointmentKeptV1,
        events.AppointmentCancelledV1,
        events.AppointmentMissedV1,
        events.ResultRecordedV1,
        events.ZoneChangedV1,
        events.RoutineChangedV1,
    ),
    on_plan,
)
