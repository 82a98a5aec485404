"""plans.v1: what the scheduler says about a patient's plan. *State* events: each carries the plan's version and the whole
of what a reader keeps, so an older one changes nothing and a lost one is healed by the next."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import TOPIC_PLANS, Contract, Event, Instant, Slug, WallTime, Zone

PlanStatus = Literal["active", "paused", "stopped", "completed"]
MedicationStatus = Literal["active", "paused", "stopped", "switched", "completed"]
AppointmentStatus = Literal["booked", "kept", "cancelled", "missed"]


class SlotSnapshot(Contract):
    """One time of day at which something is taken. `days` are ISO weekdays 1..7; empty means every day."""

    slot_id: Slug
    time: WallTime
    days: tuple[int, ...] = ()


class MedicationSnapshot(Contract):
    """A medicine as a reader may know it: an opaque id and the names of the rule sets that watch it."""

    medication_id: UUID
    status: MedicationStatus
    as_needed: bool = False
    rule_sets: tuple[Slug, ...] = ()
    #: Which step of the dose ladder is in force (1-based), and of how many.
    step: int = 1
    steps: int = 1
    slots: tuple[SlotSnapshot, ...] = ()


class AppointmentSnapshot(Contract):
    appointment_id: UUID
    starts_at: Instant
    status: AppointmentStatus
    follow_up_id: UUID | None = None


class FollowUpSnapshot(Contract):
    """A follow-up that the plan asks for: from `due_on` (local date) on, on record by `deadline_on` at the latest."""

    follow_up_id: UUID
    due_on: date
    deadline_on: date
    appointment_id: UUID | None = None


class PlanSnapshot(Contract):
    """The whole of what a reader keeps of a plan. `zone` is None while it is not known: then no text goes."""

    plan_id: UUID
    status: PlanStatus
    zone: Zone | None
    starts_on: date
    medications: tuple[MedicationSnapshot, ...] = ()
    follow_ups: tuple[FollowUpSnapshot, ...] = ()
    appointments: tuple[AppointmentSnapshot, ...] = ()
    #: How many texts the plan itself asks for on its fullest day: the fuse of the gate is twice this.
    texts_a_day: int = 0
    resume_on: date | None = None


class PlanEvent(Event):
    """Base of plans.v1. `version` rises by at least one with every change of the patient's plan."""

    topic: ClassVar[str] = TOPIC_PLANS
    nature: ClassVar[Literal["state", "fact"]] = "state"

    patient_id: UUID
    plan_version: int
    plan: PlanSnapshot


class PlanStartedV1(PlanEvent):
    type: ClassVar[str] = "plan-started"


class DoseChangedV1(PlanEvent):
    """The dose of one medicine changed, by a command or because the ladder reached its next step."""

    type: ClassVar[str] = "dose-changed"
    medication_id: UUID
    effective_on: date
    reason: Slug


class MedicationAddedV1(PlanEvent):
    type: ClassVar[str] = "medication-added"
    medication_id: UUID


class MedicationRemovedV1(PlanEvent):
    type: ClassVar[str] = "medication-removed"
    medication_id: UUID
    reason: Slug


class MedicationSwitchedV1(PlanEvent):
    type: ClassVar[str] = "medication-switched"
    from_medication_id: UUID
    to_medication_id: UUID


class TaperStartedV1(PlanEvent):
    type: ClassVar[str] = "taper-started"
    medication_id: UUID
    ends_on: date | None


class PlanPausedV1(PlanEvent):
    type: ClassVar[str] = "plan-paused"
    bypasses_parking: ClassVar[bool] = True
    reason: Slug


class PlanResumedV1(PlanEvent):
    type: ClassVar[str] = "plan-resumed"


class PlanStoppedV1(PlanEvent):
    type: ClassVar[str] = "plan-stopped"
    bypasses_parking: ClassVar[bool] = True
    reason: Slug


class PlanCompletedV1(PlanEvent):
    type: ClassVar[str] = "plan-completed"


class AppointmentBookedV1(PlanEvent):
    type: ClassVar[str] = "appointment-booked"
    appointment_id: UUID


class AppointmentMovedV1(PlanEvent):
    type: ClassVar[str] = "appointment-moved"
    appointment_id: UUID
    previous_start: Instant


class AppointmentKeptV1(PlanEvent):
    type: ClassVar[str] = "appointment-kept"
    appointment_id: UUID


class AppointmentCancelledV1(PlanEvent):
    type: ClassVar[str] = "appointment-cancelled"
    appointment_id: UUID
    reason: Slug


class AppointmentMissedV1(PlanEvent):
    """A person or an appointment feed said so; silence never does (DESIGN.md rule 3)."""

    type: ClassVar[str] = "appointment-missed"
    appointment_id: UUID


class ResultRecordedV1(PlanEvent):
    """A monitoring result is on record. The value stays in the scheduler."""

    type: ClassVar[str] = "result-recorded"
    monitoring_id: UUID
    recorded_on: date


class ZoneChangedV1(PlanEvent):
    type: ClassVar[str] = "zone-changed"
    previous_zone: Zone | None


class RoutineChangedV1(PlanEvent):
    type: ClassVar[str] = "routine-changed"
