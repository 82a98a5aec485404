"""How many texts a plan asks for on its fullest day: the measure of the cap at enrolment and of the gate's fuse.

Days are sampled where the answer can change: four weeks from the start and from every step of every ladder, which covers the
weekday and every-n-days patterns up to 28 days; rarer ones count as if they met the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from services.scheduler.domain.expansion import check_in_falls_on, doses_by_slot
from services.scheduler.domain.plan import Plan

_SAMPLE = 28


def _days(plan: Plan) -> Iterator[date]:
    starts = {plan.starts_on} | {step.from_on for one in plan.medicines if one.status == "active" for step in one.steps}
    starts |= {one.first_on for one in plan.check_ins}
    days = {start + timedelta(days=number) for start in starts for number in range(_SAMPLE)}
    return iter(sorted(days))


def dose_texts_on_fullest_day(plan: Plan) -> int:
    """One text a slot, whatever number of medicines falls on it."""
    return max((len(doses_by_slot(plan.medicines, day)) for day in _days(plan)), default=0)


def texts_on_fullest_day(plan: Plan) -> int:
    """Doses, check-ins, lessons, labs and visits together."""
    return max((_texts_on(plan, day) for day in _days(plan)), default=0) + _single_days(plan)


def _texts_on(plan: Plan, day: date) -> int:
    return len(doses_by_slot(plan.medicines, day)) + sum(1 for one in plan.check_ins if check_in_falls_on(one, day))


def _single_days(plan: Plan) -> int:
    """What comes once: at most as many as share a day (reminders lie a day before their appointment)."""
    days = [one.on for one in plan.education] + [one.due_on for one in plan.follow_ups] + [one.due_on for one in plan.monitoring]
    days += [one.starts.date() - timedelta(days=1) for one in plan.appointments if one.status == "booked"]
    return max((days.count(day) for day in set(days)), default=0)
