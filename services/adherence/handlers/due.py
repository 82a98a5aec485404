"""due.v1: what is expected from now on, until when an answer counts, and by when somebody must have recorded something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from services.adherence.commands import followups, outcomes, reach
from services.adherence.commands.alerts import Cause, raise_alert
from services.adherence.domain.followups import Word
from services.adherence.domain.silence import Fact, Window
from services.adherence.storage import followups as follow_up_rows
from services.adherence.storage import people
from services.adherence.storage.followups import FollowUp, Monitoring
from services.adherence.storage.occurrences import Occurrence
from services.adherence.storage.people import Patient
from services.adherence.storage.records import Heard
from shared.events import due
from shared.events.base import Event, stable_id
from shared.events.due import (
    CheckInDueV1,
    DoseDueV1,
    DueExpiredV1,
    DueWithdrawnV1,
    FollowUpDueV1,
    FollowUpOverdueV1,
    MonitoringDueV1,
    OccurrenceDue,
    ReviewDueV1,
)
from shared.messaging.unit import Handlers, Unit
from shared.messaging.work import KEY_PARKED


def _window(event: OccurrenceDue) -> Window:
    return Window(event.due_at, max(event.answer_until, event.due_at), event.plan_version)


def dose(event: DoseDueV1) -> Occurrence:
    return Occurrence(
        event.occurrence_id,
        event.clinic_id,
        event.patient_id,
        "dose",
        event.local_date,
        _window(event),
        series_id=event.series_id,
        medication_ids=tuple(one.medication_id for one in event.doses),
    )


def check_in(event: CheckInDueV1) -> Occurrence:
    return Occurrence(
        event.occurrence_id,
        event.clinic_id,
        event.patient_id,
        "check-in",
        event.local_date,
        _window(event),
        series_id=event.series_id,
        instrument=event.instrument,
        item=event.item,
    )


async def on_follow_up_due(unit: Unit, event: FollowUpDueV1) -> None:
    one = FollowUp(
        event.follow_up_id,
        event.clinic_id,
        event.patient_id,
        event.deadline_at,
        due_on=event.local_date,
        occurrence_id=event.occurrence_id,
    )
    await followups.due(unit, one)


async def on_follow_up_overdue(unit: Unit, event: FollowUpOverdueV1) -> None:
    """The deadline passed. The scheduler may know how the appointment went; silence says nothing about it."""
    one = FollowUp(event.follow_up_id, event.clinic_id, event.patient_id, event.deadline_at, due_on=event.local_date)
    await follow_up_rows.put(unit, one)
    if event.appointment_outcome is not None and unit.cause is not None:
        await followups.hear(unit, one.id, Word(unit.cause.id, "appointment", event.appointment_outcome, event.due_at))
    await followups.deadline_passed(unit, await follow_up_rows.get(unit, one.id) or one)


async def on_monitoring_due(unit: Unit, event: MonitoringDueV1) -> None:
    one = Monitoring(
        event.occurrence_id, event.clinic_id, event.patient_id, event.monitoring_id, event.local_date, event.deadline_at
    )
    await followups.monitoring_due(unit, one)


async def on_review_due(unit: Unit, event: ReviewDueV1) -> None:
    if event.reason == KEY_PARKED:
        await reach.record_incomplete(unit, event.clinic_id, event.patient_id, None)
        return
    patient = await people.patient(unit, event.clinic_id, event.patient_id)
    key = f"plan-review:{event.series_id}"
    await raise_alert(unit, patient, Cause("plan-review", key, occurrence_id=event.occurrence_id, once=True))


async def on_withdrawn(unit: Unit, event: DueWithdrawnV1) -> None:
    """No longer to be texted: a dose or check-in that has not been texted yet is no longer expected."""
    if event.kind == "monitoring-due":
        await unit.drop_work(followups.MONITORING, str(event.occurrence_id))
        return
    known = Fact(_id(unit), "withdrawn", unit.now, reason=event.reason, version=event.plan_version)
    await outcomes.fact(unit, Heard(event.clinic_id, event.patient_id, event.occurrence_id, known))


async def on_expired(unit: Unit, event: DueExpiredV1) -> None:
    """It was never asked: a dose becomes unknown (not asked). Of a check-in there is nothing to say but this event itself."""
    known = Fact(_id(unit), "expired", event.due_at, reason=event.reason)
    if event.kind == "dose-due":
        patient = await people.patient(unit, event.clinic_id, event.patient_id)
        await outcomes.expect(unit, expired_dose(event, patient))
    await outcomes.fact(unit, Heard(event.clinic_id, event.patient_id, event.occurrence_id, known))


def expired_dose(event: DueExpiredV1, patient: Patient) -> Occurrence:
    """The dose that was never said due: its local date by the plan's zone, its medicines by the slot whose occurrence it is."""
    zone = ZoneInfo((patient.plan.zone if patient.plan else None) or "UTC")
    local_date = event.due_at.astimezone(zone).date()
    series = stable_id(event.patient_id, "doses")
    medications = patient.plan.medications if patient.plan else ()
    taken_then = tuple(
        one.medication_id
        for one in medications
        if any(
            stable_id(event.patient_id, series, slot.slot_id, local_date.isoformat()) == event.occurrence_id for slot in one.slots
        )
    )
    window = Window(event.due_at, event.due_at, due_version=0)
    ids = (event.occurrence_id, event.clinic_id, event.patient_id)
    return Occurrence(*ids, "dose", local_date, window, series_id=series, medication_ids=taken_then)


def _id(unit: Unit) -> UUID:
    if unit.cause is None:
        raise ValueError("a fact is known by the id of its event")
    return unit.cause.id


async def only_noted(_unit: Unit, _event: OccurrenceDue) -> None:
    """It is on the timeline; there is nothing to find out about it."""


#: What is expected from now on; nothing else comes of these, so they are handled together.
EXPECTED: Mapping[type[Event], Callable[[Any], Occurrence]] = {due.DoseDueV1: dose, due.CheckInDueV1: check_in}

HANDLERS: Handlers = {
    due.FollowUpDueV1: on_follow_up_due,
    due.FollowUpOverdueV1: on_follow_up_overdue,
    due.MonitoringDueV1: on_monitoring_due,
    due.ReviewDueV1: on_review_due,
    due.DueWithdrawnV1: on_withdrawn,
    due.DueExpiredV1: on_expired,
    due.AppointmentReminderDueV1: only_noted,
    due.EducationDueV1: only_noted,
}
