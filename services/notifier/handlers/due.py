"""due.v1: the first text about each occurrence. Its key is the occurrence, so a reissue under a new plan version asks again for
the same row and can never make a second text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from services.notifier import said
from services.notifier.domain.message import MessageDraft, MessageKind
from services.notifier.lastgate import withhold
from services.notifier.storage import messages
from shared.events.due import (
    AppointmentReminderDueV1,
    CheckInDueV1,
    DoseDueV1,
    DueEvent,
    DueExpiredV1,
    DueWithdrawnV1,
    EducationDueV1,
    FollowUpDueV1,
    MonitoringDueV1,
    OccurrenceDue,
)
from shared.messaging.unit import Handlers, Unit

#: What a due event is texted as. An overdue follow-up and a plan review are the care team's: no text to the patient.
KINDS: Mapping[str, MessageKind] = {
    "dose-due": "dose",
    "check-in-due": "check-in",
    "follow-up-due": "follow-up",
    "appointment-reminder-due": "appointment",
    "monitoring-due": "monitoring",
    "education-due": "education",
}


def key_of(occurrence_id: UUID) -> str:
    return f"occurrence/{occurrence_id}"


async def on_dose_due(unit: Unit, event: DoseDueV1) -> None:
    medications = [str(dose.medication_id) for dose in event.doses]
    _queue(unit, event, "dose", wall=event.slot_time, medications=medications)


async def on_check_in_due(unit: Unit, event: CheckInDueV1) -> None:
    _queue(unit, event, f"{event.instrument}/{event.item}", instrument=event.instrument, item=event.item)


async def on_follow_up_due(unit: Unit, event: FollowUpDueV1) -> None:
    _queue(unit, event, "follow-up", at=event.deadline_at)


async def on_appointment_reminder_due(unit: Unit, event: AppointmentReminderDueV1) -> None:
    _queue(unit, event, "appointment", at=event.starts_at)


async def on_monitoring_due(unit: Unit, event: MonitoringDueV1) -> None:
    _queue(unit, event, "monitoring", at=event.deadline_at)


async def on_education_due(unit: Unit, event: EducationDueV1) -> None:
    _queue(unit, event, "education", lesson=event.lesson)


async def on_due_withdrawn(unit: Unit, event: DueWithdrawnV1) -> None:
    """What has not left does not leave; what has, stays said. Heard before its due event, it is remembered."""
    if event.kind not in KINDS:
        return
    withdrawn = await messages.tombstone(unit, _draft(unit, event, KINDS[event.kind]), "withdrawn")
    if withdrawn is not None:
        await said.withheld(unit, withdrawn, "withdrawn")


async def on_due_expired(unit: Unit, event: DueExpiredV1) -> None:
    """Its moment has passed: a text of it that still waits does not go."""
    text = await messages.one(unit, messages.message_id(key_of(event.occurrence_id)), lock=True)
    if text is not None and text.state == "queued":
        await withhold(unit, text, "too-late")


def _queue(unit: Unit, event: OccurrenceDue, template: str, **params: Any) -> None:
    """`answer_until` goes along for the conversation: how long an answer counts."""
    told = {name: value if isinstance(value, str | list) else value.isoformat() for name, value in params.items()}
    draft = _draft(
        unit,
        event,
        KINDS[event.type],
        template=template,
        params=told | {"answer_until": event.answer_until.isoformat()},
        not_before=event.due_at,
        useful_until=event.useful_until,
    )
    messages.queue_or_reissue(unit, draft)


def _draft(unit: Unit, event: DueEvent, kind: MessageKind, **more: Any) -> MessageDraft:
    if unit.cause is None:
        raise ValueError("a due text is caused by an event")
    values: dict[str, Any] = {"template": kind, "not_before": unit.now, "useful_until": unit.now} | more
    return MessageDraft(
        key=key_of(event.occurrence_id),
        kind=kind,
        clinic_id=event.clinic_id,
        patient_id=event.patient_id,
        occurrence_id=event.occurrence_id,
        plan_version=event.plan_version,
        cause=unit.cause.id,
        cause_type=event.type,
        **values,
    )


HANDLERS: Handlers = {
    DoseDueV1: on_dose_due,
    CheckInDueV1: on_check_in_due,
    FollowUpDueV1: on_follow_up_due,
    AppointmentReminderDueV1: on_appointment_reminder_due,
    MonitoringDueV1: on_monitoring_due,
    EducationDueV1: on_education_due,
    DueWithdrawnV1: on_due_withdrawn,
    DueExpiredV1: on_due_expired,
}
