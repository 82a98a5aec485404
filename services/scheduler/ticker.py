"""What happens when a patient's next moment comes: the plan's own changes, what is due, and planning further ahead.

One row of due work a patient and not one an occurrence: at 08:00 three thousand patients are thirty batches of a hundred, each a
handful of set-based statements, and a plan with many slots costs no more rows in the engine than one with a single slot. Firing
computes nothing: the occurrences stand ready for two days, and what makes the next two is done in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.scheduler import events, numbers, versions
from services.scheduler.domain import ladder, lateness
from services.scheduler.storage import occurrences, plans
from services.scheduler.storage.occurrences import Ending, Placed
from services.scheduler.storage.plans import Standing
from shared.defaults import default
from shared.messaging.unit import Fires, Unit
from shared.messaging.work import KEY_PARKED, WorkItem


async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Everything that has come due for these patients. They are locked, and their due work is deleted with this transaction."""
    found = await plans.standing(unit.conn, [item.key for item in items])
    await _put_off_parked(unit, [item for item in items if item.key in found and found[item.key].parked])
    rows = await versions.catch_up(unit, [row for row in found.values() if not row.parked])
    changed = await _advance(unit, rows)
    rows = {**rows, **await plans.standing(unit.conn, changed)} if changed else rows
    come, upcoming = await occurrences.ready(unit.conn, rows, unit.now)
    await _say_due(unit, rows, come)
    rows, upcoming = await _plan_ahead(unit, rows, upcoming)
    for patient, row in rows.items():
        await versions.plan_next(unit, row, upcoming.get(patient))


async def _put_off_parked(unit: Unit, items: Sequence[WorkItem]) -> None:
    """While a key waits for a person nothing advances by itself for it: neither a dose nor a ladder step (DESIGN.md rule 10)."""
    again = unit.now + default("scheduler", "parked_looked_at_every")
    for item in items:
        await unit.plan_work(item.kind, item.ref, again, key=item.key, clinic_id=item.clinic_id)


async def _advance(unit: Unit, rows: Mapping[UUID, Standing]) -> list[UUID]:
    """Ladder steps, ends of courses and of pauses, completion. Answers whose plan has a new version."""
    due = [patient for patient, row in rows.items() if row.next_change_at is not None and row.next_change_at <= unit.now]
    ready = (await plans.load(unit.conn, due)).values() if due else ()
    moved = [versions.moved(row, ladder.advance(row.plan, unit.now)) for row in ready]
    changed = [one for one in moved if one.facts]
    if changed:
        await versions.save(unit, changed)
    still = [one.row for one in moved if not one.facts]
    later = [replace(row, next_change_at=ladder.next_change(row.plan, unit.now)) for row in still]
    await plans.save(unit.conn, later, unit.now)
    return due


async def _say_due(unit: Unit, rows: Mapping[UUID, Standing], come: Sequence[Placed]) -> None:
    """All of them leave the state "planned": said, or visibly expired."""
    by_patient: dict[UUID, list[Placed]] = defaultdict(list)
    for placed in come:
        by_patient[placed.patient_id].append(placed)
    said, endings = list[Placed](), list[Ending]()
    for patient, due in by_patient.items():
        rules = numbers.rules(rows[patient].numbers)
        at_hand = {one.occurrence.id: one for one in due}
        for verdict in lateness.judge([one.occurrence for one in due], unit.now, rules):
            placed = at_hand[verdict.occurrence.id]
            if verdict.outcome == "say":
                said.append(placed)
                continue
            reason = verdict.reason or lateness.TOO_LATE
            unit.emit(events.expired_event(placed, reason), event_id=events.expired_id(placed))
            endings.append(Ending(placed.occurrence.id, "expired", reason))
    await occurrences.mark_said(unit.conn, [one.occurrence.id for one in said], unit.now)
    await occurrences.end(unit.conn, endings)
    await versions.say(unit, said, {patient: row.held for patient, row in rows.items()})


async def _plan_ahead(
    unit: Unit, rows: Mapping[UUID, Standing], upcoming: Mapping[UUID, datetime]
) -> tuple[dict[UUID, Standing], dict[UUID, datetime]]:
    """Plans two days ahead for whom it is time: all their occurrences in one insert. The rows, and when each is due next."""
    short = [row for patient, row in rows.items() if _is_short(row, upcoming.get(patient), unit.now)]
    further = await versions.plan_until(unit, short, unit.now + default("scheduler", "planned_ahead"))
    # What was planned before comes before what is planned now. Of whom nothing was, what has been inserted tells.
    bare = [row.plan.patient_id for row in short if not _is_before(upcoming.get(row.plan.patient_id), row.horizon_at)]
    return {**rows, **further}, {**upcoming, **await occurrences.next_due(unit.conn, bare)}


def _is_short(row: Standing, upcoming: datetime | None, now: datetime) -> bool:
    """Whether less than a day of what is planned is left; or will be before anything else happens to this patient: planned
    further now, there is no moment for it alone every day."""
    if row.plan.status != "active" or row.plan.zone is None:
        return False
    least = (row.horizon_at or now) - default("scheduler", "planned_again_at")
    return least <= now or not any(_is_before(moment, least) for moment in (upcoming, row.next_change_at))


def _is_before(moment: datetime | None, end: datetime | None) -> bool:
    return moment is not None and end is not None and moment <= end


async def tell_of_parked_keys(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Nothing has been said for this patient for half an hour, and nothing will be until an operator releases the key: the care
    team must know of it (DESIGN.md rule 10). A review of the plan, with a reason that adherence knows."""
    found = await plans.standing(unit.conn, [item.key for item in items])
    for item in items:
        row = found.get(item.key)
        if row is not None and row.parked:
            event = events.parked_event(row.clinic_id, row.plan, item.ref, unit.now)
            unit.emit(event, event_id=event.occurrence_id)


FIRES: Fires = {versions.MOMENT: fire, KEY_PARKED: tell_of_parked_keys}
