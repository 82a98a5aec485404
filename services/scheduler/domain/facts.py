"""What a transition says has happened. Each fact becomes one event of plans.v1 under a version of its own (events.py), whose
fields bear the same names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True)
class PlanStarted:
    pass


@dataclass(frozen=True)
class DoseChanged:
    medication_id: UUID
    effective_on: date
    reason: str


@dataclass(frozen=True)
class MedicineAdded:
    medication_id: UUID


@dataclass(frozen=True)
class MedicineRemoved:
    medication_id: UUID
    reason: str


@dataclass(frozen=True)
class MedicineSwitched:
    from_medication_id: UUID
    to_medication_id: UUID


@dataclass(frozen=True)
class TaperStarted:
    medication_id: UUID
    ends_on: date | None


@dataclass(frozen=True)
class PlanPaused:
    reason: str


@dataclass(frozen=True)
class PlanResumed:
    pass


@dataclass(frozen=True)
class PlanStopped:
    reason: str


@dataclass(frozen=True)
class PlanCompleted:
    pass


@dataclass(frozen=True)
class AppointmentBooked:
    appointment_id: UUID


@dataclass(frozen=True)
class AppointmentMoved:
    appointment_id: UUID
    previous_start: datetime


@dataclass(frozen=True)
class AppointmentKept:
    appointment_id: UUID


@dataclass(frozen=True)
class AppointmentCancelled:
    appointment_id: UUID
    reason: str


@dataclass(frozen=True)
class AppointmentMissed:
    appointment_id: UUID


@dataclass(frozen=True)
class ResultRecorded:
    monitoring_id: UUID
    recorded_on: date


@dataclass(frozen=True)
class ZoneChanged:
    previous_zone: str | None


@dataclass(frozen=True)
class RoutineChanged:
    """The times of the day changed, or what is asked beside the medicine (check-ins, follow-ups, labs, lessons)."""


Fact = (
    PlanStarted
    | DoseChanged
    | MedicineAdded
    | MedicineRemoved
    | MedicineSwitched
    | TaperStarted
    | PlanPaused
    | PlanResumed
    | PlanStopped
    | PlanCompleted
    | AppointmentBooked
    | AppointmentMoved
    | AppointmentKept
    | AppointmentCancelled
    | AppointmentMissed
    | ResultRecorded
    | ZoneChanged
    | RoutineChanged
)
