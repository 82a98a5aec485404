"""Occurrence rows, always for many patients at once: one statement whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.reconcile import Stored
from services.scheduler.storage.tables import OCCURRENCE

#: What a new version may place anew. Spelt out: a list of values cannot go with many rows in one statement.
_STATE = OCCURRENCE.c.state
_OPEN = or_(_STATE == "planned", _STATE == "said", _STATE == "withdrawn")


@dataclass(frozen=True)
class Placed:
    """An occurrence with whose it is and under which version and zone it stands."""

    patient_id: UUID
    clinic_id: UUID
    zone: str
    plan_version: int
    occurrence: Occurrence


def _place() -> Insert:
    statement = insert(OCCURRENCE)
    fixed = ("occurrence_id", "patient_id", "clinic_id", "series_id", "slot_id", "local_date", "kind")
    changes = {column.name: statement.excluded[column.name] for column in OCCURRENCE.c if column.name not in fixed}
    return statement.on_conflict_do_update(index_elements=["occurrence_id"], set_=changes, where=_OPEN)


_FIND = select(OCCURRENCE).where(OCCURRENCE.c.occurrence_id == bindparam("wanted"))
_PLACE, _PLAN = _place(), insert(OCCURRENCE).on_conflict_do_nothing()


async def plan(conn: AsyncConnection, rows: Sequence[Placed]) -> None:
    """Inserts what is to come. What is known already stays as it is: an occurrence happens once."""
    if rows:
        await conn.execute(_PLAN, [_values(row, "planned", None) for row in rows])


async def place(conn: AsyncConnection, rows: Sequence[Placed], *, said_at: datetime | None) -> None:
    """Under a new version: planned anew (`said_at` None) or said again. What was sent, expired or closed never comes back."""
    if not rows:
        return
    state = "planned" if said_at is None else "said"
    await conn.execute(_PLACE, [_values(row, state, said_at) for row in rows])


def _values(row: Placed, state: str, said_at: datetime | None) -> dict[str, Any]:
    one = row.occurrence
    return {
        "occurrence_id": one.id,
        "patient_id": row.patient_id,
        "clinic_id": row.clinic_id,
        "kind": one.kind,
        "series_id": one.series_id,
        "slot_id": one.slot_id,
        "local_date": one.local_date,
        "zone": row.zone,
        "due_at": one.due_at,
        "useful_until": one.useful_until,
        "answer_until": one.answer_until,
        "plan_version": row.plan_version,
        "detail": dict(one.detail),
        "state": state,
        "said_at": said_at,
        "reason": None,
    }


def placed(row: Row[Any]) -> Placed:
    """A row as the domain knows it."""
    one = Occurrence(
        id=row.occurrence_id,
        kind=row.kind,
        series_id=row.series_id,
        slot_id=row.slot_id,
        local_date=row.local_date,
        due_at=row.due_at,
        useful_until=row.useful_until,
        answer_until=row.answer_until,
        detail=row.detail,
    )
    return Placed(row.patient_id, row.clinic_id, row.zone, row.plan_version, one)


async def due(conn: AsyncConnection, patient_ids: Sequence[UUID], now: datetime) -> list[Placed]:
    """Planned rows of these patients whose moment has come, in order of time."""
    table = OCCURRENCE.c
    found = select(OCCURRENCE).where(table.patient_id.in_(patient_ids), table.state == "planned", table.due_at <= now)
    return [placed(row) for row in (await conn.execute(found.order_by(table.due_at, table.occurrence_id))).all()]


async def next_due(conn: AsyncConnection, patient_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """When the next planned row of each patient is due; absent where none is planned."""
    table = OCCURRENCE.c
    found = select(table.patient_id, func.min(table.due_at)).where(table.patient_id.in_(patient_ids), table.state == "planned")
    return {row[0]: row[1] for row in (await conn.execute(found.group_by(table.patient_id))).all()}


@dataclass(frozen=True)
class Ending:
    """The end of a row: withdrawn, expired or closed, and why."""

    occurrence_id: UUID
    state: str
    reason: str


async def mark_said(conn: AsyncConnection, ids: Sequence[UUID], now: datetime) -> None:
    if ids:
        await conn.execute(update(OCCURRENCE).where(OCCURRENCE.c.occurrence_id.in_(ids)).values(state="said", said_at=now))


async def end(conn: AsyncConnection, endings: Sequence[Ending]) -> None:
    if endings:
        statement = update(OCCURRENCE).where(OCCURRENCE.c.occurrence_id == bindparam("of"))
        values = statement.values(state=bindparam("ended"), reason=bindparam("why"))
        await conn.execute(values, [{"of": one.occurrence_id, "ended": one.state, "why": one.reason} for one in endings])


async def mark_sent(conn: AsyncConnection, occurrence_id: UUID, now: datetime) -> None:
    """A text about it has begun: nothing will say it again. A word about one that was taken back meanwhile holds as well."""
    table = OCCURRENCE.c
    mine = (table.occurrence_id == occurrence_id) & table.state.in_(("planned", "said", "withdrawn", "closed"))
    await conn.execute(
        update(OCCURRENCE).where(mine).values(state="sent", said_at=func.coalesce(table.said_at, now), reason=None)
    )


async def find(conn: AsyncConnection, occurrence_id: UUID) -> tuple[Placed, str] | None:
    """A row and its state."""
    row = (await conn.execute(_FIND, {"wanted": occurrence_id})).first()
    return (placed(row), row.state) if row else None


async def stored(conn: AsyncConnection, patient_ids: Sequence[UUID], now: datetime) -> dict[UUID, list[Stored]]:
    """Rows that a new version may meet, by patient: all planned ones, and all that could be of use still or until yesterday."""
    if not patient_ids:
        return {}
    table = OCCURRENCE.c
    recent = or_(table.state == "planned", table.useful_until > now - timedelta(days=2))
    columns = (table.patient_id, table.occurrence_id, table.kind, table.state, table.due_at, table.useful_until)
    found: dict[UUID, list[Stored]] = {patient: [] for patient in patient_ids}
    for row in (await conn.execute(select(*columns).where(table.patient_id.in_(patient_ids), recent))).all():
        found[row.patient_id].append(Stored(row.occurrence_id, row.kind, row.state, row.due_at, row.useful_until))
    return found


async def said(conn: AsyncConnection, patient_id: UUID, now: datetime) -> list[Placed]:
    """Said due, not known to have been sent, and still of use."""
    table = OCCURRENCE.c
    mine = (table.patient_id == patient_id) & (table.state == "said") & (table.useful_until > now)
    return [placed(row) for row in (await conn.execute(select(OCCURRENCE).where(mine).order_by(table.due_at))).all()]


async def delete_planned(conn: AsyncConnection, patient_ids: Sequence[UUID], series_id: UUID | None = None) -> None:
    """Forgets what was planned and never said (of one series only, where given)."""
    if not patient_ids:
        return
    table = OCCURRENCE.c
    gone = delete(OCCURRENCE).where(table.patient_id.in_(patient_ids), table.state == "planned")
    await conn.execute(gone if series_id is None else gone.where(table.series_id == series_id))
