"""What a transition says has happened. Each fact becomes one event of plans.v1 under a version of its own (events.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True)
class PlanStarted:
    pass


@dataclass(frozen=True)
class DoseChanged:
    medicine: UUID
    effective_on: date
    reason: str


@dataclass(frozen=True)
class MedicineAdded:
    medicine: UUID


@dataclass(frozen=True)
class MedicineRemoved:
    medicine: UUID
    reason: str


@dataclass(frozen=True)
class MedicineSwitched:
    from_medicine: UUID
    to_medicine: UUID


@dataclass(frozen=True)
class TaperStarted:
    medicine: UUID
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
    appointment: UUID


@dataclass(frozen=True)
class AppointmentMoved:
    appointment: UUID
    previous_start: datetime


@dataclass(frozen=True)
class AppointmentKept:
    appointment: UUID


@dataclass(frozen=True)
class AppointmentCancelled:
    appointment: UUID
    reason: str


@dataclass(frozen=True)
class AppointmentMissed:
    appointment: UUID


@dataclass(frozen=True)
class ResultRecorded:
    monitoring: UUID
    recorded_on: date


@dataclass(frozen=True)
class ZoneChanged:
    previous: str | None


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
