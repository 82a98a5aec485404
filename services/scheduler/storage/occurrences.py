"""Occurrence rows, always for many patients at once: one statement whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    Update,
    any_,
    bindparam,
    delete,
    func,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.reconcile import Stored
from services.scheduler.storage.tables import OCCURRENCE
from shared.db import spelt_out

_IDS = ARRAY(OCCURRENCE.c.occurrence_id.type)
_STATE = OCCURRENCE.c.state
_PLANNED, _SAID, _SENT, _WITHDRAWN, _CLOSED = map(spelt_out, ("planned", "said", "sent", "withdrawn", "closed"))
#: What a new version may place anew. Spelt out: a list of values cannot go with many rows in one statement.
_OPEN = or_(_STATE == _PLANNED, _STATE == _SAID, _STATE == _WITHDRAWN)


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


def _among(column: Column[UUID], name: str) -> ColumnElement[bool]:
    """One of the ids of a list that goes along as one parameter: one prepared statement for lists of any length."""
    return column == any_(bindparam(name, type_=_IDS))


_OF_PATIENTS = _among(OCCURRENCE.c.patient_id, "patients")


def _come_and_next() -> CompoundSelect[Any]:
    """Of each patient every planned row whose moment has come, and the first whose moment has not."""
    table, now = OCCURRENCE.c, bindparam("now", type_=OCCURRENCE.c.due_at.type)
    mine = select(OCCURRENCE).where(_OF_PATIENTS, _STATE == _PLANNED)
    following = mine.where(table.due_at > now).ext(distinct_on(table.patient_id)).order_by(table.patient_id, table.due_at)
    both = union_all(mine.where(table.due_at <= now), following)
    return both.order_by(both.selected_columns.due_at, both.selected_columns.occurrence_id)


def _end() -> Update:
    statement = update(OCCURRENCE).where(OCCURRENCE.c.occurrence_id == bindparam("of"))
    return statement.values(state=bindparam("ended"), reason=bindparam("why"))


def _mark_sent() -> Update:
    mine = _among(OCCURRENCE.c.occurrence_id, "ids"), _STATE.in_([_PLANNED, _SAID, _WITHDRAWN, _CLOSED])
    said_at = func.coalesce(OCCURRENCE.c.said_at, bindparam("now", type_=OCCURRENCE.c.said_at.type))
    return update(OCCURRENCE).where(*mine).values(state=_SENT, said_at=said_at, reason=null())


def _stored() -> Select[Any]:
    table = OCCURRENCE.c
    recent = or_(_STATE == _PLANNED, table.useful_until > bindparam("since"))
    columns = (table.patient_id, table.occurrence_id, table.kind, table.state, table.due_at, table.useful_until)
    return select(*columns).where(_OF_PATIENTS, recent)


def _said() -> Select[Any]:
    table = OCCURRENCE.c
    mine = (table.patient_id == bindparam("patient"), _STATE == _SAID, table.useful_until > bindparam("now"))
    return select(OCCURRENCE).where(*mine).order_by(table.due_at)


# Made once: making one costs as much as running it.
_FIND = select(OCCURRENCE).where(OCCURRENCE.c.occurrence_id == bindparam("wanted"))
_PLACE, _PLAN = _place(), insert(OCCURRENCE).on_conflict_do_nothing()
_COME_AND_NEXT, _STORED, _SAID_ROWS = _come_and_next(), _stored(), _said()
_MARK_SAID = update(OCCURRENCE).where(_among(OCCURRENCE.c.occurrence_id, "ids")).values(state=_SAID, said_at=bindparam("now"))
_END, _MARK_SENT = _end(), _mark_sent()
_NEXT = (
    select(OCCURRENCE.c.patient_id, func.min(OCCURRENCE.c.due_at))
    .where(_OF_PATIENTS, _STATE == _PLANNED)
    .group_by(OCCURRENCE.c.patient_id)
)
_FORGET = delete(OCCURRENCE).where(_OF_PATIENTS, _STATE == _PLANNED)
_FORGET_SERIES = _FORGET.where(OCCURRENCE.c.series_id == bindparam("series"))


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


async def ready(conn: AsyncConnection, patient_ids: Iterable[UUID], now: datetime) -> tuple[list[Placed], dict[UUID, datetime]]:
    """Planned rows of these patients whose moment has come, in order of time; and when the next one after now is due, absent
    where none is planned."""
    found = (await conn.execute(_COME_AND_NEXT, {"patients": list(patient_ids), "now": now})).all()
    following = {row.patient_id: row.due_at for row in found if row.due_at > now}
    return [placed(row) for row in found if row.due_at <= now], following


async def next_due(conn: AsyncConnection, patient_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """When the next planned row of each patient is due; absent where none is planned."""
    if not patient_ids:
        return {}
    return {row[0]: row[1] for row in (await conn.execute(_NEXT, {"patients": patient_ids})).all()}


@dataclass(frozen=True)
class Ending:
    """The end of a row: withdrawn, expired or closed, and why."""

    occurrence_id: UUID
    state: str
    reason: str


async def mark_said(conn: AsyncConnection, ids: Sequence[UUID], now: datetime) -> None:
    if ids:
        await conn.execute(_MARK_SAID, {"ids": ids, "now": now})


async def end(conn: AsyncConnection, endings: Sequence[Ending]) -> None:
    if endings:
        await conn.execute(_END, [{"of": one.occurrence_id, "ended": one.state, "why": one.reason} for one in endings])


async def mark_sent(conn: AsyncConnection, ids: Iterable[UUID], now: datetime) -> None:
    """Texts about them have begun: nothing will say them again. A word about one that was taken back meanwhile holds as well."""
    await conn.execute(_MARK_SENT, {"ids": list(dict.fromkeys(ids)), "now": now})


async def find(conn: AsyncConnection, occurrence_id: UUID) -> tuple[Placed, str] | None:
    """A row and its state."""
    row = (await conn.execute(_FIND, {"wanted": occurrence_id})).first()
    return (placed(row), row.state) if row else None


async def stored(conn: AsyncConnection, patient_ids: Sequence[UUID], now: datetime) -> dict[UUID, list[Stored]]:
    """Rows that a new version may meet, by patient: all planned ones, and all that could be of use still or until yesterday."""
    if not patient_ids:
        return {}
    found: dict[UUID, list[Stored]] = {patient: [] for patient in patient_ids}
    values = {"patients": patient_ids, "since": now - timedelta(days=2)}
    for row in (await conn.execute(_STORED, values)).all():
        found[row.patient_id].append(Stored(row.occurrence_id, row.kind, row.state, row.due_at, row.useful_until))
    return found


async def said(conn: AsyncConnection, patient_id: UUID, now: datetime) -> list[Placed]:
    """Said due, not known to have been sent, and still of use."""
    return [placed(row) for row in (await conn.execute(_SAID_ROWS, {"patient": patient_id, "now": now})).all()]


async def delete_planned(conn: AsyncConnection, patient_ids: Sequence[UUID], series_id: UUID | None = None) -> None:
    """Forgets what was planned and never said (of one series only, where given)."""
    if not patient_ids:
        return
    if series_id is None:
        await conn.execute(_FORGET, {"patients": patient_ids})
    else:
        await conn.execute(_FORGET_SERIES, {"patients": patient_ids, "series": series_id})
