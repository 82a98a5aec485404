"""A plan moves to a new version: the row, its events, and what becomes of every occurrence of the old one. One transaction.

Takes many patients at once, so that a hundred ladder steps at one midnight cost as many statements as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from services.scheduler import events, numbers
from services.scheduler.domain import expansion, ladder
from services.scheduler.domain.change import Change
from services.scheduler.domain.facts import Fact, PlanResumed, PlanStarted
from services.scheduler.domain.plan import Plan
from services.scheduler.domain.reconcile import LOOK_BACK, Reconciled, reconcile
from services.scheduler.domain.reconcile import Stored as StoredOccurrence
from services.scheduler.storage import occurrences, plans
from services.scheduler.storage.occurrences import Ending, Placed
from services.scheduler.storage.plans import Standing, Stored, Version
from shared.defaults import default
from shared.messaging.unit import Unit

#: Nobody is texted about these, so nothing will ever tell that a text has gone: said is done.
TEXTLESS = frozenset({"follow-up-overdue", "review-due"})
#: The one kind of due work of the scheduler: a patient's next moment, whatever it is.
MOMENT = "occurrence"
S = TypeVar("S", bound=Standing)


@dataclass(frozen=True)
class Moved:
    """A plan row as it is to stand, and the facts that brought it there (with `row.plan` already at its new version)."""

    row: Stored
    facts: tuple[Fact, ...]


def moved(row: Stored, change: Change) -> Moved:
    return Moved(replace(row, plan=change.plan), change.facts)


async def catch_up(unit: Unit, rows: Sequence[S]) -> dict[UUID, S]:
    """Plans what nobody planned while everything was down for longer than is planned ahead: it belongs to the version that stood
    then, and becomes visible as expired. Before any new version, else it would vanish with the old one."""
    behind = [
        row
        for row in rows
        if row.plan.status == "active" and row.plan.zone is not None and row.horizon_at is not None and row.horizon_at < unit.now
    ]
    return {**{row.plan.patient_id: row for row in rows}, **await plan_until(unit, behind, unit.now)}


async def plan_until(unit: Unit, rows: Sequence[S], horizon: datetime) -> dict[UUID, S]:
    """Plans these patients' occurrences from their horizon to the new one, all in one insert."""
    if not rows:
        return {}
    fresh = [
        _placed(row, one)
        for row in rows
        for one in expansion.occurrences(row.plan, row.horizon_at or unit.now, horizon, numbers.rules(row.numbers))
    ]
    await occurrences.plan(unit.conn, fresh)
    await plans.move_horizons(unit.conn, [row.plan.patient_id for row in rows], horizon)
    return {row.plan.patient_id: replace(row, horizon_at=horizon) for row in rows}


async def save(unit: Unit, changes: Sequence[Moved]) -> dict[UUID, datetime | None]:
    """Writes new versions and everything that follows from them. The patients are locked. Answers when each is due next."""
    horizon = unit.now + default("scheduler", "planned_ahead")
    rows = [replace(one.row, horizon_at=horizon, next_change_at=ladder.next_change(one.row.plan, unit.now)) for one in changes]
    await plans.save(unit.conn, rows, unit.now)
    await plans.add_versions(unit.conn, [version for one in changes for version in _say(unit, one)])
    known_before = [one.row.plan.patient_id for one in changes if one.row.horizon_at is not None]
    stored = await occurrences.stored(unit.conn, known_before, unit.now)
    await occurrences.delete_planned(unit.conn, known_before)
    again, anew, endings = list[Placed](), list[Placed](), list[Ending]()
    due: dict[UUID, datetime | None] = {}
    for row, change in zip(rows, changes, strict=True):
        known = stored.get(row.plan.patient_id, [])
        result = _reconcile(row, known, unit.now, change.facts)
        anew += [_placed(row, one) for one in result.plan]
        again += [_placed(row, one) for one in result.reissue]
        endings += _withdraw(unit, row, known, result, change.facts)
        due[row.plan.patient_id] = min((one.due_at for one in result.plan), default=None)
    await occurrences.place(unit.conn, anew, said_at=None)
    await occurrences.place(unit.conn, again, said_at=unit.now)
    await occurrences.end(unit.conn, endings)
    held = {row.plan.patient_id: row.held for row in rows}
    await say(unit, again, held)
    for row in rows:
        await plan_next(unit, row, due[row.plan.patient_id])
    return due


def _say(unit: Unit, change: Moved) -> list[Version]:
    said = []
    for event in events.plan_events(change.row.clinic_id, change.row.plan, change.facts):
        event_id = unit.emit(event)
        version = event.plan_version
        said.append(Version(event.patient_id, version, event.clinic_id, event_id, event.full_type, unit.now))
    return said


def _reconcile(row: Stored, known: Sequence[StoredOccurrence], now: datetime, facts: tuple[Fact, ...]) -> Reconciled:
    assert row.horizon_at is not None, "a row that is saved has a horizon"
    begins = any(isinstance(fact, PlanStarted | PlanResumed) for fact in facts)
    new_from = min(row.plan.since, now) if begins else now
    open_rows = (one.due_at for one in known if one.state in ("planned", "said"))
    since = min([now - LOOK_BACK, new_from, *open_rows, *_waiting(row.plan, now)])
    wanted = expansion.occurrences(row.plan, since, row.horizon_at, numbers.rules(row.numbers))
    return reconcile(known, wanted, now, new_from)


def _waiting(plan: Plan, now: datetime) -> list[datetime]:
    """Where to begin looking so that no follow-up or lab whose day has passed but not its deadline is overlooked."""
    yesterday = now.date() - timedelta(days=1)  # whatever the zone
    days = [one.due_on for one in plan.follow_ups if one.id not in plan.settled and one.deadline_on >= yesterday]
    days += [one.due_on for one in plan.monitoring if one.due_on + timedelta(days=one.deadline_days) >= yesterday]
    return [datetime.combine(day, datetime.min.time(), now.tzinfo) - timedelta(days=1) for day in days]


def _placed(row: Standing, one: Any) -> Placed:
    assert row.plan.zone is not None, "a plan without a zone has no occurrences"
    return Placed(row.plan.patient_id, row.clinic_id, row.plan.zone, row.plan.version, one)


def _withdraw(
    unit: Unit, row: Stored, known: Sequence[StoredOccurrence], result: Reconciled, facts: tuple[Fact, ...]
) -> list[Ending]:
    kinds = {one.id: one.kind for one in known}
    reason = _type(facts)
    for one in result.withdraw:
        event = events.withdrawn_event(row.clinic_id, row.plan.patient_id, one, kinds[one], row.plan.version, reason)
        unit.emit(event, event_id=events.withdrawn_id(one, row.plan.version))
    return [Ending(one, "withdrawn", reason) for one in result.withdraw]


def _type(facts: tuple[Fact, ...]) -> str:
    """The reason of a withdrawal: the event that caused it."""
    return events.type_of(facts[-1]) if facts else events.OTHER


async def say(unit: Unit, due: Sequence[Placed], held: dict[UUID, frozenset[str]]) -> None:
    """Says occurrences due. One of which everything is held is closed: nobody asks to take it (DESIGN.md rule 4)."""
    closed = []
    for one in due:
        event = events.due_event(one, held.get(one.patient_id, frozenset()))
        if event is None:
            closed.append(Ending(one.occurrence.id, "closed", "asking-held"))
        else:
            unit.emit(event, event_id=events.due_id(one))
            if one.occurrence.kind in TEXTLESS:
                closed.append(Ending(one.occurrence.id, "closed", "no-text"))
    await occurrences.end(unit.conn, closed)


async def plan_next(unit: Unit, row: Standing, next_due: datetime | None) -> None:
    """One row of due work a patient: the next occurrence, the next change of the plan, or the time to plan further ahead."""
    plan = row.plan
    moments = [one for one in (next_due, row.next_change_at) if one is not None]
    if plan.status == "active" and plan.zone is not None and row.horizon_at is not None:
        moments.append(row.horizon_at - default("scheduler", "planned_again_at"))
    ref = str(plan.patient_id)
    if not moments:
        await unit.drop_work(MOMENT, ref)
        return
    await unit.plan_work(MOMENT, ref, min(moments), key=plan.patient_id, clinic_id=row.clinic_id)
