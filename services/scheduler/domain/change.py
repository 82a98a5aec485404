"""The shape of every decision on a plan: the plan after it and what it says has happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from services.scheduler.domain import timing
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.facts import Fact
from services.scheduler.domain.plan import Medicine, Plan


class Change(NamedTuple):
    """`plan.version` counts one for every fact: the first fact has the old version + 1, the last one the plan's own."""

    plan: Plan
    facts: tuple[Fact, ...]


def changed(plan: Plan, *facts: Fact) -> Change:
    return Change(replace(plan, version=plan.version + len(facts)), facts)


def unchanged(plan: Plan) -> Change:
    return Change(plan, ())


def today(plan: Plan, now: datetime) -> date:
    """The patient's local date; the UTC date while their zone is not known (nothing is due then anyway)."""
    return timing.local_date(now, plan.zone) if plan.zone else now.date()


def with_medicine(plan: Plan, medicine: Medicine) -> Plan:
    return replace(plan, medicines=tuple(medicine if one.id == medicine.id else one for one in plan.medicines))


def require_running(plan: Plan, *, paused_too: bool = False) -> None:
    """Refuses a command on a plan that is over (or paused, where that matters)."""
    allowed = ("active", "paused") if paused_too else ("active",)
    if plan.status not in allowed:
        raise Refused("plan", f"the plan is {plan.status}", accepted=f"a plan that is {' or '.join(allowed)}", conflict=True)
