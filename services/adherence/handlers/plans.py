"""plans.v1: keeps the newest snapshot; what an older version says changes nothing (but a recorded result is a fact)."""

from __future__ import annotations

from services.adherence.commands import followups as commands
from services.adherence.commands.alerts import resolve_cause
from services.adherence.storage import followups, people
from shared.events import plans
from shared.events.plans import PlanEvent, ResultRecordedV1
from shared.messaging.unit import Handlers, Unit


async def on_plan(unit: Unit, event: PlanEvent) -> None:
    """The plan as it is now: which rules watch which medicine, which follow-ups are asked for, what appointments came to."""
    patient = await people.patient(unit, event.clinic_id, event.patient_id)
    if event.plan_version <= patient.plan_version:
        return
    await people.put_plan(unit, patient, event.plan_version, event.plan)
    await commands.follow_plan(unit, event)


async def on_result_recorded(unit: Unit, event: ResultRecordedV1) -> None:
    """A result answers what was due until its day: nobody needs to hear of those any more."""
    await followups.put_result(unit, event.clinic_id, event.patient_id, event.monitoring_id, event.recorded_on)
    for occurrence_id in await followups.due_before(unit, event.monitoring_id, event.recorded_on):
        await unit.drop_work(commands.MONITORING, str(occurrence_id))
        await resolve_cause(unit, event.clinic_id, f"monitoring-overdue:{occurrence_id}", "answered")
    await on_plan(unit, event)


HANDLERS: Handlers = {
    plans.PlanStartedV1: on_plan,
    plans.DoseChangedV1: on_plan,
    plans.MedicationAddedV1: on_plan,
    plans.MedicationRemovedV1: on_plan,
    plans.MedicationSwitchedV1: on_plan,
    plans.TaperStartedV1: on_plan,
    plans.PlanPausedV1: on_plan,
    plans.PlanResumedV1: on_plan,
    plans.PlanStoppedV1: on_plan,
    plans.PlanCompletedV1: on_plan,
    plans.AppointmentBookedV1: on_plan,
    plans.AppointmentMovedV1: on_plan,
    plans.AppointmentKeptV1: on_plan,
    plans.AppointmentCancelledV1: on_plan,
    plans.AppointmentMissedV1: on_plan,
    plans.ResultRecordedV1: on_result_recorded,
    plans.ZoneChangedV1: on_plan,
    plans.RoutineChangedV1: on_plan,
}
