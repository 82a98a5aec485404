"""A plan as the scheduler knows it: what is to happen on which local day, without one name in it.

All days are local dates and all times local wall times in the patient's zone. Ids are opaque; what the clinic calls things
is kept encrypted beside the plan (storage.py), never in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

PlanStatus = Literal["active", "paused", "stopped", "completed"]
MedicineStatus = Literal["active", "stopped", "switched", "completed"]
MedicineKind = Literal["steady", "titration", "taper"]
TimesFrom = Literal["plan", "routine"]
AppointmentStatus = Literal["booked", "kept", "cancelled", "missed"]


@dataclass(frozen=True)
class Slot:
    """A time of day with a name of its own. The name, not the time, is its identity: moved later it is still the same slot."""

    id: str
    at: time
    times_from: TimesFrom = "plan"
    #: Which entry of the patient's routine gives the time, where the routine does.
    routine_key: str | None = None


@dataclass(frozen=True)
class Dose:
    """What is taken at a slot. `every_days` counts from the first day of its step; `weekdays` are ISO 1..7, empty = all."""

    slot: str
    quantity: Decimal
    unit: str
    every_days: int = 1
    weekdays: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Step:
    """One rung of a dose ladder, in force from `from_on` (local date) until the next one. No doses: nothing is taken."""

    from_on: date
    doses: tuple[Dose, ...] = ()


@dataclass(frozen=True)
class Medicine:
    """A medicine with its ladder. `ends_on` is the last local date on which it is taken."""

    id: UUID
    steps: tuple[Step, ...]
    kind: MedicineKind = "steady"
    as_needed: bool = False
    rule_sets: tuple[str, ...] = ()
    ends_on: date | None = None
    replaces: UUID | None = None
    status: MedicineStatus = "active"
    #: The last step that was said (1-based): the ladder moves when the step in force is a later one.
    said_step: int = 1

    def step_on(self, day: date) -> int:
        """The step in force on a local date, 1-based; 0 before the first."""
        return sum(1 for step in self.steps if step.from_on <= day)

    def is_over(self, day: date) -> bool:
        """Nothing is ever taken again from `day` on: past its last day, or at the empty last step of a taper."""
        if self.ends_on is not None and day > self.ends_on:
            return True
        step = self.step_on(day)
        return bool(self.kind == "taper" and step and step == len(self.steps) and not self.steps[-1].doses)

    def doses_on(self, day: date) -> tuple[Dose, ...]:
        """What is to be taken on a local date. As-needed medicine is logged, never asked for."""
        number = self.step_on(day)
        if self.status != "active" or self.as_needed or number == 0 or self.is_over(day):
            return ()
        step = self.steps[number - 1]
        return tuple(dose for dose in step.doses if _falls_on(dose, step.from_on, day))


def _falls_on(dose: Dose, first: date, day: date) -> bool:
    return (day - first).days % dose.every_days == 0 and (not dose.weekdays or day.isoweekday() in dose.weekdays)


@dataclass(frozen=True)
class CheckIn:
    """A question asked every so many days. Instrument and item name it; its words are the notifier's."""

    id: UUID
    instrument: str
    item: str
    first_on: date
    every_days: int
    at: time
    answer_within: timedelta
    last_on: date | None = None


@dataclass(frozen=True)
class FollowUp:
    """A visit that must be on record by the end of `deadline_on`."""

    id: UUID
    due_on: date
    deadline_on: date
    at: time


@dataclass(frozen=True)
class Appointment:
    """A booked visit. It keeps the zone it was booked in: the clinic does not move when the patient does."""

    id: UUID
    starts: datetime
    zone: str
    follow_up: UUID | None = None
    status: AppointmentStatus = "booked"


@dataclass(frozen=True)
class Monitoring:
    """A lab or vital sign, once or every so many days; on record `deadline_days` after it was due at the latest."""

    id: UUID
    due_on: date
    deadline_days: int
    at: time
    every_days: int | None = None
    results: tuple[date, ...] = ()


@dataclass(frozen=True)
class Education:
    id: UUID
    lesson: str
    on: date
    at: time


@dataclass(frozen=True)
class Review:
    """The prescriber is to look at the plan itself."""

    id: UUID
    on: date
    at: time
    reason: str


@dataclass(frozen=True)
class Plan:
    """The whole plan of one patient at one version. `since`: nothing was due before this instant as far as we are concerned."""

    patient_id: UUID
    starts_on: date
    since: datetime
    zone: str | None
    version: int = 0
    status: PlanStatus = "active"
    slots: tuple[Slot, ...] = ()
    medicines: tuple[Medicine, ...] = ()
    check_ins: tuple[CheckIn, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    appointments: tuple[Appointment, ...] = ()
    monitoring: tuple[Monitoring, ...] = ()
    education: tuple[Education, ...] = ()
    reviews: tuple[Review, ...] = ()
    routine: tuple[tuple[str, time], ...] = ()
    paused_on: date | None = None
    resume_on: date | None = None
    #: Follow-ups that adherence has an outcome for: nothing more is said about them.
    settled: frozenset[UUID] = field(default_factory=frozenset)

    def slot(self, slot_id: str) -> Slot:
        """The slot of that name. KeyError where the plan was not validated."""
        for slot in self.slots:
            if slot.id == slot_id:
                return slot
        raise KeyError(slot_id)

    def medicine(self, medicine_id: UUID) -> Medicine | None:
        return next((one for one in self.medicines if one.id == medicine_id), None)

    def appointment(self, appointment_id: UUID) -> Appointment | None:
        return next((one for one in self.appointments if one.id == appointment_id), None)

    def appointment_for(self, follow_up_id: UUID) -> Appointment | None:
        """The appointment that counts for a follow-up: one that was kept, else the latest attempt."""
        found = [one for one in self.appointments if one.follow_up == follow_up_id and one.status != "cancelled"]
        return max(found, key=lambda one: (one.status == "kept", one.starts), default=None)
