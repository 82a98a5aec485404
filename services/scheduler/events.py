"""From the domain's facts and occurrences to the events of plans.v1 and due.v1: the scheduler's words are made here alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from services.scheduler.domain import facts as f
from services.scheduler.domain import identity, timing
from services.scheduler.domain.load import texts_on_fullest_day
from services.scheduler.domain.plan import Medicine, Plan
from services.scheduler.domain.transitions import starts_at
from services.scheduler.storage.occurrences import Placed
from shared.events import due as d
from shared.events import plans as p
from shared.events.base import stable_id
from shared.messaging.work import KEY_PARKED

#: Reasons that may travel. What else a person writes as a reason is text: it goes into the audit, sealed, and nowhere else.
REASONS = frozenset(
    {
        "side-effects",
        "no-response",
        "partial-response",
        "remission",
        "patient-request",
        "admission",
        "discharge",
        "pregnancy",
        "interaction",
        "lab-result",
        "prescriber-decision",
        "travel",
        "moved-away",
        "deceased",
        "transferred",
        "completed-treatment",
        "supply",
        "cost",
        "duplicate",
        "entered-in-error",
        "clinic-closed",
        "patient-cancelled",
        "clinic-cancelled",
    }
)
OTHER = "other"


def reason_code(said: str | None) -> str:
    """A reason that may leave this service: one of REASONS, or `other`."""
    return said if said in REASONS else OTHER


def snapshot(plan: Plan) -> p.PlanSnapshot:
    """The whole of what a reader keeps of a plan."""
    return p.PlanSnapshot(
        plan_id=identity.plan_id(plan.patient_id),
        status=plan.status,
        zone=plan.zone,
        starts_on=plan.starts_on,
        medications=tuple(_medication(plan, one) for one in plan.medicines),
        follow_ups=tuple(_follow_up(plan, one.id, one.due_on, one.deadline_on) for one in plan.follow_ups),
        appointments=tuple(
            p.AppointmentSnapshot(appointment_id=one.id, starts_at=starts_at(one), status=one.status, follow_up_id=one.follow_up)
            for one in plan.appointments
        ),
        texts_a_day=texts_on_fullest_day(plan),
        resume_on=plan.resume_on,
    )


def _follow_up(plan: Plan, follow_up: UUID, due_on: Any, deadline_on: Any) -> p.FollowUpSnapshot:
    appointment = plan.appointment_for(follow_up)
    booked = appointment.id if appointment else None
    return p.FollowUpSnapshot(follow_up_id=follow_up, due_on=due_on, deadline_on=deadline_on, appointment_id=booked)


def _medication(plan: Plan, one: Medicine) -> p.MedicationSnapshot:
    paused = plan.status == "paused" and one.status == "active"
    doses = one.steps[one.said_step - 1].doses if one.steps and not one.as_needed else ()
    return p.MedicationSnapshot(
        medication_id=one.id,
        status="paused" if paused else one.status,
        as_needed=one.as_needed,
        rule_sets=one.rule_sets,
        step=one.said_step,
        steps=max(len(one.steps), 1),
        slots=tuple(
            p.SlotSnapshot(slot_id=dose.slot, time=plan.slot(dose.slot).at.strftime("%H:%M"), days=tuple(sorted(dose.weekdays)))
            for dose in doses
        ),
    )


_MODELS: dict[type[Any], type[p.PlanEvent]] = {
    f.PlanStarted: p.PlanStartedV1,
    f.DoseChanged: p.DoseChangedV1,
    f.MedicineAdded: p.MedicationAddedV1,
    f.MedicineRemoved: p.MedicationRemovedV1,
    f.MedicineSwitched: p.MedicationSwitchedV1,
    f.TaperStarted: p.TaperStartedV1,
    f.PlanPaused: p.PlanPausedV1,
    f.PlanResumed: p.PlanResumedV1,
    f.PlanStopped: p.PlanStoppedV1,
    f.PlanCompleted: p.PlanCompletedV1,
    f.AppointmentBooked: p.AppointmentBookedV1,
    f.AppointmentMoved: p.AppointmentMovedV1,
    f.AppointmentKept: p.AppointmentKeptV1,
    f.AppointmentCancelled: p.AppointmentCancelledV1,
    f.AppointmentMissed: p.AppointmentMissedV1,
    f.ResultRecorded: p.ResultRecordedV1,
    f.ZoneChanged: p.ZoneChangedV1,
    f.RoutineChanged: p.RoutineChangedV1,
}


def type_of(fact: f.Fact) -> str:
    """The event type of a fact: `dose-changed`."""
    return _MODELS[type(fact)].type


def plan_events(clinic_id: UUID, plan: Plan, facts: tuple[f.Fact, ...]) -> list[p.PlanEvent]:
    """One event a fact, each under a version of its own, all with the plan as it stands in the end."""
    whole = snapshot(plan)
    first = plan.version - len(facts) + 1
    return [_event(fact, clinic_id, plan.patient_id, first + number, whole) for number, fact in enumerate(facts)]


def _event(fact: f.Fact, clinic_id: UUID, patient_id: UUID, version: int, whole: p.PlanSnapshot) -> p.PlanEvent:
    model = _MODELS[type(fact)]
    return model(clinic_id=clinic_id, patient_id=patient_id, plan_version=version, plan=whole, **vars(fact))


_DUE: dict[str, type[d.OccurrenceDue]] = {
    model.type: model
    for model in (
        d.DoseDueV1,
        d.CheckInDueV1,
        d.FollowUpDueV1,
        d.FollowUpOverdueV1,
        d.AppointmentReminderDueV1,
        d.MonitoringDueV1,
        d.EducationDueV1,
        d.ReviewDueV1,
    )
}


def due_event(placed: Placed, held: frozenset[str] = frozenset()) -> d.OccurrenceDue | None:
    """The event of an occurrence whose moment has come. Medicines that are held are left out (DESIGN.md rule 4); None where
    that leaves nothing to ask for."""
    one = placed.occurrence
    detail = dict(one.detail)
    if one.kind == "dose-due" and held:
        detail["doses"] = [dose for dose in detail["doses"] if dose["medication_id"] not in held]
        if not detail["doses"]:
            return None
    return _DUE[one.kind].model_validate(
        {
            "clinic_id": placed.clinic_id,
            "patient_id": placed.patient_id,
            "occurrence_id": one.id,
            "plan_version": placed.plan_version,
            "series_id": one.series_id,
            "local_date": one.local_date,
            "zone": placed.zone,
            "due_at": one.due_at,
            "useful_until": one.useful_until,
            "answer_until": one.answer_until,
            **detail,
        }
    )


def parked_event(clinic_id: UUID, plan: Plan, ref: str, now: datetime) -> d.ReviewDueV1:
    """The patient's key has waited for an operator since it was parked under `ref`. Said once a parking."""
    zone = plan.zone or "UTC"
    return d.ReviewDueV1(
        clinic_id=clinic_id,
        patient_id=plan.patient_id,
        occurrence_id=stable_id(plan.patient_id, KEY_PARKED, ref),
        plan_version=plan.version,
        series_id=stable_id(plan.patient_id, KEY_PARKED),
        local_date=timing.local(now, zone).date(),
        zone=zone,
        due_at=now,
        useful_until=now,
        answer_until=now,
        reason=KEY_PARKED,
    )


def due_id(placed: Placed) -> UUID:
    """Occurrence and version: a restart says the same event, a reissue another one about the same occurrence."""
    return stable_id(placed.occurrence.id, placed.plan_version)


def expired_event(placed: Placed, reason: str) -> d.DueExpiredV1:
    one = placed.occurrence
    return d.DueExpiredV1(
        clinic_id=placed.clinic_id,
        patient_id=placed.patient_id,
        occurrence_id=one.id,
        plan_version=placed.plan_version,
        kind=one.kind,
        due_at=one.due_at,
        reason=reason,
    )


def withdrawn_event(
    clinic_id: UUID, patient_id: UUID, occurrence_id: UUID, kind: str, version: int, reason: str
) -> d.DueWithdrawnV1:
    return d.DueWithdrawnV1(
        clinic_id=clinic_id,
        patient_id=patient_id,
        occurrence_id=occurrence_id,
        plan_version=version,
        kind=cast(d.DueKind, kind),
        reason=reason,
    )


def withdrawn_id(occurrence_id: UUID, version: int) -> UUID:
    return stable_id(occurrence_id, version, "withdrawn")


def expired_id(placed: Placed) -> UUID:
    return stable_id(placed.occurrence.id, placed.plan_version, "expired")
