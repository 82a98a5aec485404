"""From what the clinic states to a plan of the domain: external ids become ours, days become local dates, times get their source.

Nothing is guessed: a slot without a time takes it from the routine and says so, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from services.scheduler import numbers, questions
from services.scheduler.bodies import (
    AppointmentBody,
    CheckInBody,
    DoseBody,
    FollowUpBody,
    MedicineBody,
    MonitoringBody,
    PlanBody,
    SlotBody,
    StepBody,
)
from services.scheduler.domain import identity
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.plan import (
    Appointment,
    CheckIn,
    Dose,
    Education,
    FollowUp,
    Medicine,
    Monitoring,
    Plan,
    Review,
    Slot,
    Step,
)
from services.scheduler.rule_sets import Coded, rule_sets_for
from services.scheduler.storage.clinics import Clinic
from services.scheduler.storage.plans import Names
from shared.defaults import duration
from shared.events.base import stable_id

#: A statement is no plan in force: its `since` means nothing.
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Reader:
    """Reads for one patient. `patient` is their external id where the caller used it; it is part of their medicines' ids."""

    patient_id: UUID
    clinic: Clinic
    patient: str | None
    medicines: dict[str, dict[str, str | None]] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return Names(self.patient, self.medicines, self.elements)

    def medicine_id(self, raw: str, element: str) -> UUID:
        """Ours, if it is a UUID; else derived from clinic, patient and the clinic's own id of the medicine."""
        own = _uuid(raw)
        if own is not None:
            return own
        if self.patient is None:
            raise Refused(
                element, "the patient's own id is not known here", accepted="our id, or the clinic's id of the patient in the URL"
            )
        return stable_id(self.clinic.id, "medication", self.patient, raw)

    def element_id(self, kind: str, raw: str) -> UUID:
        """The id of a follow-up, appointment, monitoring ... of this patient."""
        found = _uuid(raw) or identity.element_id(self.patient_id, kind, raw)
        self.elements[str(found)] = raw
        return found

    def plan(self, body: PlanBody) -> Plan:
        """The statement as a plan. Raises Refused; `validation.check` is still to be asked."""
        start = body.starts_on
        coded = [Coded(one.code.system, one.code.code, one.code.display) if one.code else Coded() for one in body.medicines]
        return Plan(
            patient_id=self.patient_id,
            starts_on=start,
            since=NEVER,
            zone=body.zone,
            slots=tuple(self._slot(name, one, body.routine) for name, one in body.slots.items()),
            medicines=tuple(
                self.medicine(one, start, f"medicines[{number}]", coded[:number] + coded[number + 1 :])
                for number, one in enumerate(body.medicines)
            ),
            check_ins=tuple(self._check_in(one, start, f"check_ins[{number}]") for number, one in enumerate(body.check_ins)),
            follow_ups=tuple(self._follow_up(one, start) for one in body.follow_ups),
            appointments=tuple(
                self.appointment(one.id, one, body.zone, f"appointments[{number}].")
                for number, one in enumerate(body.appointments)
            ),
            monitoring=tuple(self._monitoring(one, start) for one in body.monitoring),
            education=tuple(
                Education(self.element_id("education", one.id), one.lesson, day_of(start, one.day), one.time)
                for one in body.education
            ),
            reviews=tuple(
                Review(self.element_id("review", one.id), day_of(start, one.day), one.time or self._at_hand(), one.reason)
                for one in body.reviews
            ),
            routine=tuple(sorted(body.routine.items())),
        )

    def _at_hand(self) -> time:
        return numbers.rules(self.clinic.numbers).monitoring_at

    def _slot(self, name: str, body: SlotBody, routine: Mapping[str, time]) -> Slot:
        key = body.routine or name
        if body.times_from == "plan" and body.time is not None and body.routine is None:
            return Slot(name, body.time)
        at = routine.get(key) or self.clinic.routine.get(key) or body.time or numbers.house_routine().get(key)
        if at is None:
            known = sorted({*routine, *self.clinic.routine, *numbers.house_routine()})
            raise Refused(f"slots.{name}", "no routine says when that is", accepted="a time, or one of " + ", ".join(known))
        return Slot(name, at, "routine", key)

    def medicine(self, body: MedicineBody, start: date, element: str, beside: list[Coded]) -> Medicine:
        """One medicine; rule sets come from its code and from what the clinic adds."""
        found = self.medicine_id(body.id, f"{element}.id")
        coded = Coded(body.code.system, body.code.code, body.code.display) if body.code else Coded()
        self.medicines[str(found)] = {"id": body.id, "system": coded.system, "code": coded.code, "display": coded.display}
        first = body.starts_on or start
        return Medicine(
            id=found,
            steps=steps_of(body.steps, first),
            kind=body.kind,
            as_needed=body.as_needed,
            rule_sets=tuple(sorted({*rule_sets_for(coded, beside), *body.rule_sets})),
            ends_on=body.ends_on,
            replaces=self.medicine_id(body.replaces, f"{element}.replaces") if body.replaces else None,
        )

    def _check_in(self, body: CheckInBody, start: date, element: str) -> CheckIn:
        questions.check(body.instrument, body.item, element)
        return CheckIn(
            id=self.element_id("check-in", body.id),
            instrument=body.instrument,
            item=body.item,
            first_on=day_of(start, body.first_day),
            every_days=body.every_days,
            at=body.time,
            answer_within=duration(body.answer_within),
            last_on=day_of(start, body.last_day) if body.last_day else None,
        )

    def _follow_up(self, body: FollowUpBody, start: date) -> FollowUp:
        found = self.element_id("follow-up", body.id)
        return FollowUp(found, day_of(start, body.due_day), day_of(start, body.deadline_day), body.time)

    def appointment(self, raw: str, body: AppointmentBody, zone: str | None, element: str) -> Appointment:
        """A visit at a local wall time. Refused where the time carries an offset, or where no zone says what it means."""
        if body.starts_at.tzinfo is not None or not 2000 <= body.starts_at.year <= 2200:
            accepted = "local time without offset such as 2026-12-07T10:00; zone says where"
            raise Refused(f"{element}starts_at", "not a local wall time", accepted=accepted)
        where = body.zone or zone or self.clinic.zone
        if where is None:
            raise Refused(f"{element}zone", "nobody knows in which zone", accepted="an IANA zone such as America/New_York")
        follow_up = self.element_id("follow-up", body.follow_up) if body.follow_up else None
        return Appointment(self.element_id("appointment", raw), body.starts_at, where, follow_up)

    def _monitoring(self, body: MonitoringBody, start: date) -> Monitoring:
        return Monitoring(
            id=self.element_id("monitoring", body.id),
            due_on=day_of(start, body.due_day),
            deadline_days=body.deadline_days,
            at=body.time or self._at_hand(),
            every_days=body.every_days,
        )


def day_of(start: date, number: int) -> date:
    """The local date of a day of the plan; day 1 is its first."""
    return start + timedelta(days=number - 1)


def steps_of(bodies: list[StepBody], first: date) -> tuple[Step, ...]:
    """A ladder; day 1 is `first`."""
    return tuple(Step(day_of(first, one.from_day), tuple(dose_of(dose) for dose in one.doses)) for one in bodies)


def dose_of(body: DoseBody) -> Dose:
    quantity = Decimal(f"{body.quantity.normalize():f}")
    return Dose(body.slot, quantity, body.unit, body.every_days, frozenset(body.weekdays))


def _uuid(raw: str) -> UUID | None:
    try:
        return UUID(raw)
    except ValueError:
        return None
