"""What a plan does by itself when a local date begins: the next step of a ladder, the end of a course, the end of a pause.

What ends waits until nothing of its last date is still to come: where the clock jumps over midnight that is in the new date.

While a patient's key is parked none of this is called for them (DESIGN.md rule 10): ladder steps wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

from services.scheduler.domain import timing
from services.scheduler.domain.change import Change, changed, today, unchanged, with_medicine
from services.scheduler.domain.facts import DoseChanged, Fact, MedicineRemoved, PlanCompleted, PlanResumed
from services.scheduler.domain.plan import Medicine, Plan, Step

DAY = timedelta(days=1)
LADDER_STEP = "ladder-step"
COURSE_ENDED = "course-ended"


def advance(plan: Plan, now: datetime) -> Change:
    """Everything that the patient's local date brings by itself; no facts where it brings nothing."""
    zone = plan.zone
    if zone is None:
        return unchanged(plan)
    day, still_open, facts = today(plan, now), timing.open_date(now, zone), list[Fact]()
    if plan.status == "paused" and plan.resume_on is not None and plan.resume_on <= day:
        plan = resumed(plan, plan.resume_on, timing.day_start(plan.resume_on, zone))
        facts.append(PlanResumed())
    if plan.status != "active":
        return changed(plan, *facts)
    for medicine in plan.medicines:
        moved, fact = _advance_medicine(medicine, day, still_open)
        if fact is not None:
            plan = with_medicine(plan, moved)
            facts.append(fact)
    if not has_more(plan, still_open):
        plan = replace(plan, status="completed")
        facts.append(PlanCompleted())
    return changed(plan, *facts)


def _advance_medicine(medicine: Medicine, day: date, still_open: date) -> tuple[Medicine, Fact | None]:
    if medicine.status != "active":
        return medicine, None
    step = max(medicine.step_on(day), 1)
    if medicine.is_over(still_open):
        return replace(medicine, status="completed", said_step=step), MedicineRemoved(medicine.id, COURSE_ENDED)
    if step > medicine.said_step and not medicine.is_over(day):
        effective = medicine.steps[step - 1].from_on
        return replace(medicine, said_step=step), DoseChanged(medicine.id, effective, LADDER_STEP)
    return medicine, None


def resumed(plan: Plan, day: date, since: datetime) -> Plan:
    """Running again from `day` on, nothing being due before `since`. A ladder stood still while the plan was paused, so its
    later steps come that many days later: nobody resumes at a dose they have not climbed to (lamotrigine, clinical.md 3.1)."""
    lost = max((day - plan.paused_on).days, 0) if plan.paused_on else 0
    medicines = tuple(_delayed(one, plan.paused_on, lost) for one in plan.medicines)
    return replace(plan, status="active", since=since, paused_on=None, resume_on=None, medicines=medicines)


def _delayed(medicine: Medicine, paused_on: date | None, days: int) -> Medicine:
    if paused_on is None or days == 0 or medicine.status != "active" or medicine.kind == "steady":
        return medicine
    by = timedelta(days=days)
    steps = tuple(Step(one.from_on + by, one.doses) if one.from_on > paused_on else one for one in medicine.steps)
    ends = medicine.ends_on + by if medicine.ends_on is not None and medicine.ends_on >= paused_on else medicine.ends_on
    return replace(medicine, steps=steps, ends_on=ends)


def has_more(plan: Plan, day: date) -> bool:
    """Whether anything of the plan is still to come on `day` or later. An as-needed medicine keeps a plan open."""
    return (
        any(one.status == "active" and not one.is_over(day) for one in plan.medicines)
        or any(one.last_on is None or one.last_on >= day for one in plan.check_ins)
        or any(one.deadline_on + DAY >= day and one.id not in plan.settled for one in plan.follow_ups)
        or any(one.status == "booked" and one.starts.date() >= day for one in plan.appointments)
        or any(one.every_days is not None or one.due_on + timedelta(days=one.deadline_days) >= day for one in plan.monitoring)
        or any(one.on >= day for one in plan.education)
        or any(one.on >= day for one in plan.reviews)
    )


def next_change(plan: Plan, now: datetime) -> datetime | None:
    """The instant at which `advance` has something to do next, or None: a local midnight after now, or the moment at which
    nothing of the date before is still to come."""
    if plan.zone is None or plan.status in ("stopped", "completed"):
        return None
    day = today(plan, now)
    if day in (days := set(_days_of_change(plan))) and now < (left := timing.nothing_left(day - DAY, plan.zone)):
        return left
    later = [one for one in days if one > day]
    return timing.day_start(min(later), plan.zone) if later else None


def _days_of_change(plan: Plan) -> Iterator[date]:
    if plan.status == "paused":
        if plan.resume_on is not None:
            yield plan.resume_on
        return
    for medicine in plan.medicines:
        if medicine.status == "active":
            yield from (step.from_on for step in medicine.steps)
            if medicine.ends_on is not None:
                yield medicine.ends_on + DAY
    yield from (one.last_on + DAY for one in plan.check_ins if one.last_on is not None)
    yield from (one.deadline_on + 2 * DAY for one in plan.follow_ups)
    yield from (one.starts.date() + DAY for one in plan.appointments)
    yield from (one.due_on + timedelta(days=one.deadline_days + 1) for one in plan.monitoring)
    yield from (one.on + DAY for one in plan.education)
    yield from (one.on + DAY for one in plan.reviews)
