"""What a plan must be before any of it is stored. A refusal names the element in the caller's terms and what would be taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from services.scheduler.domain import timing
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.load import dose_texts_on_fullest_day
from services.scheduler.domain.plan import Dose, Medicine, Plan, Step

#: A ladder or interval longer than this is a typing error: ten years of days.
LONGEST_DAYS = 3650


@dataclass(frozen=True)
class Limits:
    """House numbers (shared/defaults.toml [scheduler])."""

    dose_texts_a_day: int
    shortest_answer: timedelta
    longest_answer: timedelta


def check(plan: Plan, limits: Limits) -> None:
    """Raises Refused for the first element that cannot be."""
    if plan.zone is not None:
        check_zone(plan.zone, "zone")
    _check_slots(plan)
    _unique("medicines", (one.id for one in plan.medicines))
    for number, medicine in enumerate(plan.medicines):
        check_medicine(medicine, plan, f"medicines[{number}]")
    _check_cap(plan, limits)
    _check_check_ins(plan, limits)
    _check_follow_ups(plan)
    _check_appointments(plan)
    _check_rest(plan)


def check_zone(name: str, element: str) -> None:
    if name not in timing.zone_names():
        raise Refused(element, "not a zone of the IANA data", accepted="an IANA zone such as America/New_York")


def _unique(element: str, ids: Iterable[object]) -> None:
    if any(count > 1 for count in Counter(ids).values()):
        raise Refused(element, "two elements have the same id", accepted="an id of its own for each")


def _check_slots(plan: Plan) -> None:
    _unique("slots", (one.id for one in plan.slots))
    seen: set[object] = set()
    for slot in plan.slots:
        if slot.at in seen:
            raise Refused(f"slots.{slot.id}", "another slot has this time", accepted="one slot for each time of day")
        seen.add(slot.at)


def check_medicine(medicine: Medicine, plan: Plan, element: str) -> None:
    """A medicine of a plan; `element` is where the caller finds it."""
    if not medicine.steps and not medicine.as_needed:
        raise Refused(f"{element}.steps", "nothing says what is taken", accepted="at least one step, or as_needed")
    check_steps(medicine.steps, plan, f"{element}.steps")
    if medicine.kind == "taper" and medicine.ends_on is None and medicine.steps and medicine.steps[-1].doses:
        # A proportional taper never reaches nothing by itself: it needs a step that stops (clinical.md 3.3).
        raise Refused(f"{element}.ends_on", "a taper has an end", accepted="ends_on, or a last step without doses")
    if medicine.ends_on is not None and medicine.steps and medicine.ends_on < medicine.steps[0].from_on:
        raise Refused(f"{element}.ends_on", "it would end before it begins", accepted="the first day of the medicine or later")
    if medicine.replaces is not None and medicine.replaces == medicine.id:
        raise Refused(f"{element}.replaces", "a medicine does not replace itself", accepted="the id of another medicine")


def check_steps(steps: tuple[Step, ...], plan: Plan, element: str) -> None:
    """A ladder: each step later than the one before, each dose on a slot of the plan."""
    before: date | None = None
    for number, step in enumerate(steps):
        if before is not None and step.from_on <= before:
            raise Refused(
                f"{element}[{number}].from_day", "steps come one after the other", accepted="a later day than the step before"
            )
        if abs((step.from_on - plan.starts_on).days) > LONGEST_DAYS:
            raise Refused(f"{element}[{number}].from_day", "too far away", accepted=f"at most {LONGEST_DAYS} days from the start")
        before = step.from_on
        for place, dose in enumerate(step.doses):
            _check_dose(dose, plan, f"{element}[{number}].doses[{place}]")
        _check_one_dose_a_slot(step, f"{element}[{number}].doses")


def _check_dose(dose: Dose, plan: Plan, element: str) -> None:
    if all(slot.id != dose.slot for slot in plan.slots):
        raise Refused(f"{element}.slot", "the plan has no such slot", accepted="the name of one of the plan's slots")
    if not dose.quantity.is_finite() or not Decimal(0) < dose.quantity <= Decimal(100_000):
        raise Refused(f"{element}.quantity", "not an amount that is taken", accepted="a number above 0 and up to 100000")
    if not 1 <= dose.every_days <= 366:
        raise Refused(f"{element}.every_days", "not an interval in days", accepted="a whole number from 1 to 366")
    if not dose.weekdays <= frozenset(range(1, 8)):
        raise Refused(f"{element}.weekdays", "not days of the week", accepted="numbers from 1 (Monday) to 7 (Sunday)")


def _check_one_dose_a_slot(step: Step, element: str) -> None:
    """Two doses of one medicine may share a slot only on different weekdays: otherwise a text would state both."""
    taken: set[tuple[str, int]] = set()
    for number, dose in enumerate(step.doses):
        days = {(dose.slot, day) for day in dose.weekdays or range(1, 8)}
        if days & taken:
            raise Refused(
                f"{element}[{number}].slot",
                "the medicine is taken at this slot already",
                accepted="one dose for each slot and day",
            )
        taken |= days


def _check_cap(plan: Plan, limits: Limits) -> None:
    if dose_texts_on_fullest_day(plan) > limits.dose_texts_a_day:
        raise Refused(
            "slots",
            "the doses of a day would need more texts than a day may have",
            accepted=f"at most {limits.dose_texts_a_day} times of day; medicines of one slot share a text",
        )


def _check_check_ins(plan: Plan, limits: Limits) -> None:
    _unique("check_ins", (one.id for one in plan.check_ins))
    for number, one in enumerate(plan.check_ins):
        element = f"check_ins[{number}]"
        if not 1 <= one.every_days <= 366:
            raise Refused(f"{element}.every_days", "not an interval in days", accepted="a whole number from 1 to 366")
        if not limits.shortest_answer <= one.answer_within <= limits.longest_answer:
            raise Refused(
                f"{element}.answer_within", "nobody could answer in that time", accepted="an ISO 8601 duration from PT1H to P7D"
            )
        if one.last_on is not None and one.last_on < one.first_on:
            raise Refused(f"{element}.last_day", "it would end before it begins", accepted="first_day or later")


def _check_follow_ups(plan: Plan) -> None:
    _unique("follow_ups", (one.id for one in plan.follow_ups))
    for number, one in enumerate(plan.follow_ups):
        if one.deadline_on < one.due_on:
            raise Refused(
                f"follow_ups[{number}].deadline_day", "the deadline lies before the due day", accepted="due_day or later"
            )


def _check_appointments(plan: Plan) -> None:
    _unique("appointments", (one.id for one in plan.appointments))
    known = {one.id for one in plan.follow_ups}
    for number, one in enumerate(plan.appointments):
        check_zone(one.zone, f"appointments[{number}].zone")
        if one.follow_up is not None and one.follow_up not in known:
            raise Refused(
                f"appointments[{number}].follow_up", "the plan has no such follow-up", accepted="the id of one of follow_ups"
            )


def _check_rest(plan: Plan) -> None:
    _unique("monitoring", (one.id for one in plan.monitoring))
    _unique("education", (one.id for one in plan.education))
    _unique("reviews", (one.id for one in plan.reviews))
    for number, one in enumerate(plan.monitoring):
        if one.every_days is not None and not 1 <= one.every_days <= LONGEST_DAYS:
            raise Refused(
                f"monitoring[{number}].every_days", "not an interval in days", accepted=f"a whole number from 1 to {LONGEST_DAYS}"
            )
