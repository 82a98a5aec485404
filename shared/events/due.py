"""due.v1: what the scheduler says is due now. *Facts* about an occurrence: its id is (patient, series, slot, local date), so
neither a restart, a daylight-saving change nor a new plan version can make a second one. The event's own id adds the plan
version: a reissue is a new event about the same occurrence, and a text's key is the occurrence."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import TOPIC_DUE, Contract, Event, Instant, Slug, Unit, WallTime, Zone

DueKind = Literal[
    "dose-due",
    "check-in-due",
    "follow-up-due",
    "follow-up-overdue",
    "appointment-reminder-due",
    "monitoring-due",
    "education-due",
    "review-due",
]


class DueEvent(Event):
    """Base of due.v1. All instants are UTC; `zone` and `local_date` say what they meant to the patient."""

    topic: ClassVar[str] = TOPIC_DUE
    nature: ClassVar[Literal["state", "fact"]] = "fact"

    patient_id: UUID
    occurrence_id: UUID
    plan_version: int


class OccurrenceDue(DueEvent):
    """Something whose moment has come. After `useful_until` a text about it may not begin; an answer until `answer_until`
    counts for it without being late."""

    series_id: UUID
    local_date: date
    zone: Zone
    due_at: Instant
    useful_until: Instant
    answer_until: Instant


class DoseQuantity(Contract):
    """What is taken: "2 tablet", "50 mg". Never what it is called."""

    medication_id: UUID
    quantity: Decimal
    unit: Unit


class DoseDueV1(OccurrenceDue):
    """One slot of the day, all the medicines that fall on it in one text."""

    type: ClassVar[str] = "dose-due"
    slot_id: Slug
    slot_time: WallTime
    #: Stated in the plan, or laid on the patient's routine and shown at enrolment.
    times_from: Literal["plan", "routine"]
    doses: tuple[DoseQuantity, ...]


class CheckInDueV1(OccurrenceDue):
    """A check-in: `instrument` and `item` name the question; its wording is the notifier's template."""

    type: ClassVar[str] = "check-in-due"
    instrument: Slug
    item: Slug


class FollowUpDueV1(OccurrenceDue):
    type: ClassVar[str] = "follow-up-due"
    follow_up_id: UUID
    deadline_at: Instant
    appointment_id: UUID | None = None


class FollowUpOverdueV1(OccurrenceDue):
    """The deadline passed. Whether it was kept, missed or is unrecorded is the adherence service's to say."""

    type: ClassVar[str] = "follow-up-overdue"
    follow_up_id: UUID
    deadline_at: Instant
    #: The scheduler knows an appointment for it with an outcome: kept or missed; else None.
    appointment_outcome: Literal["kept", "missed"] | None = None


class AppointmentReminderDueV1(OccurrenceDue):
    type: ClassVar[str] = "appointment-reminder-due"
    appointment_id: UUID
    starts_at: Instant


class MonitoringDueV1(OccurrenceDue):
    """A lab or vital sign is due."""

    type: ClassVar[str] = "monitoring-due"
    monitoring_id: UUID
    deadline_at: Instant


class EducationDueV1(OccurrenceDue):
    type: ClassVar[str] = "education-due"
    lesson: Slug


class ReviewDueV1(OccurrenceDue):
    """The plan itself is due for review by the prescriber. No text to the patient."""

    type: ClassVar[str] = "review-due"
    reason: Slug


class DueWithdrawnV1(DueEvent):
    """Said due, not to be texted any more. Changes nothing where the text has already begun."""

    type: ClassVar[str] = "due-withdrawn"
    kind: DueKind
    reason: Slug


class DueExpiredV1(DueEvent):
    """Its moment passed while the system could not say it (an outage). Visible, never a late text."""

    type: ClassVar[str] = "due-expired"
    kind: DueKind
    due_at: Instant
    reason: Slug
