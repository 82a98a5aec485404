"""A plan that is put again: what the clinic changed in its statement is changed, what it left alone stays as it is.

Three-way, over elements: the statement put last (`base`), the plan as it stands (`current`, which commands and ladder steps have
moved since) and the new statement. So a file that is sent again after a dose change does not undo the prescriber's decision, and
editing a check-in does not restart a titration (simple-server#2978).
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from services.scheduler.domain.change import Change, require_running, today, unchanged
from services.scheduler.domain.facts import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMoved,
    DoseChanged,
    Fact,
    MedicineAdded,
    MedicineRemoved,
    MedicineSwitched,
    RoutineChanged,
    TaperStarted,
    ZoneChanged,
)
from services.scheduler.domain.plan import Appointment, Medicine, Monitoring, Plan
from services.scheduler.domain.transitions import starts_at

#: The reason of events that follow from a changed statement rather than from a command with a reason of its own.
PLAN_CHANGED = "plan-changed"


class _Named(Protocol):
    @property
    def id(self) -> UUID | str: ...


N = TypeVar("N", bound=_Named)


def put_again(current: Plan, base: Plan, new: Plan, now: datetime) -> Change:
    """`new` in place of `base`. The same statement again is unchanged, whatever has happened to the plan since."""
    if new == base:
        return unchanged(current)
    require_running(current, paused_too=True)
    facts: list[Fact] = []
    zone = current.zone if new.zone == base.zone else new.zone
    if zone != current.zone:
        facts.append(ZoneChanged(current.zone))
    plan = replace(
        current,
        zone=zone,
        starts_on=new.starts_on,
        routine=current.routine if new.routine == base.routine else new.routine,
        slots=_elements(current.slots, base.slots, new.slots),
        check_ins=_elements(current.check_ins, base.check_ins, new.check_ins),
        follow_ups=_elements(current.follow_ups, base.follow_ups, new.follow_ups),
        monitoring=_with_results(current, _elements(current.monitoring, base.monitoring, new.monitoring)),
        education=_elements(current.education, base.education, new.education),
        reviews=_elements(current.reviews, base.reviews, new.reviews),
        medicines=_medicines(current, base, new, now, facts),
        appointments=_appointments(current, base, new, facts),
    )
    if current.zone is None and zone is not None:
        plan = replace(plan, since=max(plan.since, now))
    if not facts and _differs(plan, current):
        facts.append(RoutineChanged())
    return Change(replace(plan, version=current.version + len(facts)), tuple(facts))


def _differs(plan: Plan, current: Plan) -> bool:
    return any(getattr(plan, one.name) != getattr(current, one.name) for one in fields(Plan) if one.name != "version")


def _elements(current: tuple[N, ...], base: tuple[N, ...], new: tuple[N, ...]) -> tuple[N, ...]:
    standing, stated = {one.id: one for one in current}, {one.id: one for one in base}
    return tuple(standing[one.id] if stated.get(one.id) == one and one.id in standing else one for one in new)


def _with_results(current: Plan, monitoring: tuple[Monitoring, ...]) -> tuple[Monitoring, ...]:
    """A changed interval does not lose the results that are on record."""
    results = {one.id: one.results for one in current.monitoring}
    return tuple(replace(one, results=results.get(one.id, one.results)) for one in monitoring)


def _medicines(current: Plan, base: Plan, new: Plan, now: datetime, facts: list[Fact]) -> tuple[Medicine, ...]:
    standing, stated = {one.id: one for one in current.medicines}, {one.id: one for one in base.medicines}
    named = {one.id for one in new.medicines}
    replaced = {one.replaces for one in new.medicines if one.id not in standing}
    kept = tuple(_left_out(one, replaced, facts) for one in current.medicines if one.id not in named)
    placed = tuple(_placed(one, standing.get(one.id), stated.get(one.id), current, now, facts) for one in new.medicines)
    return (*placed, *kept)


def _left_out(medicine: Medicine, replaced: set[UUID | None], facts: list[Fact]) -> Medicine:
    """A medicine that the statement no longer names is stopped, and stays on record as such."""
    if medicine.status != "active":
        return medicine
    if medicine.id in replaced:
        return replace(medicine, status="switched")
    facts.append(MedicineRemoved(medicine.id, PLAN_CHANGED))
    return replace(medicine, status="stopped")


def _placed(
    new: Medicine, standing: Medicine | None, stated: Medicine | None, current: Plan, now: datetime, facts: list[Fact]
) -> Medicine:
    if standing is not None and stated == new:
        return standing
    day = today(current, now)
    placed = replace(new, said_step=max(new.step_on(day), 1), status="completed" if new.is_over(day) else "active")
    if standing is None or standing.status != "active":
        known = {one.id for one in current.medicines}
        switched = new.replaces in known if new.replaces is not None else False
        facts.append(MedicineSwitched(new.replaces, new.id) if switched and new.replaces else MedicineAdded(new.id))
    elif new.kind == "taper" and standing.kind != "taper":
        facts.append(TaperStarted(new.id, new.ends_on or new.steps[-1].from_on))
    elif placed != standing:
        facts.append(DoseChanged(new.id, day, PLAN_CHANGED))
    return placed


def _appointments(current: Plan, base: Plan, new: Plan, facts: list[Fact]) -> tuple[Appointment, ...]:
    standing, stated = {one.id: one for one in current.appointments}, {one.id: one for one in base.appointments}
    named = {one.id for one in new.appointments}
    placed = tuple(_appointment(one, standing.get(one.id), stated.get(one.id), facts) for one in new.appointments)
    return (*placed, *(_not_named(one, stated, facts) for one in current.appointments if one.id not in named))


def _appointment(new: Appointment, standing: Appointment | None, stated: Appointment | None, facts: list[Fact]) -> Appointment:
    if standing is None:
        facts.append(AppointmentBooked(new.id))
        return new
    if stated == new or standing.status in ("kept", "missed"):
        return standing
    if standing.status == "cancelled":
        facts.append(AppointmentBooked(new.id))
    elif (standing.starts, standing.zone) != (new.starts, new.zone):
        facts.append(AppointmentMoved(new.id, starts_at(standing)))
    return new


def _not_named(one: Appointment, stated: dict[UUID, Appointment], facts: list[Fact]) -> Appointment:
    """Left out of the statement that used to hold it: cancelled. Booked by a command since: not the statement's to cancel."""
    if one.id not in stated or one.status != "booked":
        return one
    facts.append(AppointmentCancelled(one.id, PLAN_CHANGED))
    return replace(one, status="cancelled")
