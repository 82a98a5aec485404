"""The record of a dose or a check-in, read whole and written whole, in as few statements as it takes: every event meets them.

Everybody here holds the patient's lock: nobody else writes these rows, so what was read still stands when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, any_, bindparam, exists, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.silence import Fact
from services.adherence.storage.occurrences import Occurrence, occurrence_of
from services.adherence.storage.tables import IDS, facts, history, incidents, occurrences
from shared.messaging.parking import waits_for_a_person
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Record:
    """An occurrence and everything that has come in about it, in no order."""

    one: Occurrence
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Revision:
    """What is said of an occurrence from now on, and whether that is news: news go into its history."""

    one: Occurrence
    is_news: bool


_SERVICE = "adherence"
#: The facts of each row, as tuples in the order of `Fact`'s fields. As SQL: in RETURNING, SQLAlchemy would read the table anew.
_FACTS: ColumnElement[Any] = literal_column(
    "ARRAY(SELECT ROW(f.fact_id, f.kind, f.at, f.value, f.reason, f.score, f.item, f.version)"
    " FROM adherence.occurrence_fact AS f WHERE f.occurrence_id = adherence.occurrence.occurrence_id)"
).label("facts")
_WANTED = occurrences.c.occurrence_id == bindparam("wanted")
_GET: Select[Any] = select(*occurrences.c, _FACTS).where(_WANTED)


def _record(row: Row[Any]) -> Record:
    return Record(occurrence_of(row), tuple(Fact(*each) for each in row.facts))


async def get(unit: Unit, occurrence_id: UUID) -> Record | None:
    """None: not said due yet; facts about it wait as rows until it is."""
    row = (await unit.conn.execute(_GET, {"wanted": occurrence_id})).first()
    return None if row is None else _record(row)


# A fact comes in: it is kept, and the record is read, in one statement. That sees the facts from before it.
_NEW = (
    insert(facts)
    .values({column.name: bindparam(f"new_{column.name}", type_=column.type) for column in facts.c})
    .on_conflict_do_nothing(index_elements=["fact_id"])
    .returning(facts.c.fact_id)
    .cte("new")
)
_HEAR: Select[Any] = select(*occurrences.c, _FACTS, exists(select(_NEW.c.fact_id)).label("is_new")).where(_WANTED).add_cte(_NEW)


async def hear(unit: Unit, clinic_id: UUID, patient_id: UUID, occurrence_id: UUID, fact: Fact) -> Record | None:
    """Keeps a fact as it came; the record with it, or None as for `get`. The same fact twice is one."""
    values = {
        "wanted": occurrence_id,
        "new_fact_id": fact.id,
        "new_occurrence_id": occurrence_id,
        "new_clinic_id": clinic_id,
        "new_patient_id": patient_id,
        "new_kind": fact.kind,
        "new_at": fact.at,
        "new_value": fact.value,
        "new_reason": fact.reason,
        "new_score": fact.score,
        "new_item": fact.item,
        "new_version": fact.version,
    }
    row = (await unit.conn.execute(_HEAR, values)).first()
    if row is None:
        return None
    found = _record(row)
    return replace(found, facts=(*found.facts, fact)) if row.is_new else found


_IDS = ("occurrence_id", "clinic_id", "patient_id", "kind")
#: What a due event says of its occurrence.
_SAID_DUE = ("due_version", "due_at", "answer_until", "local_date", "series_id", "medication_ids", "instrument", "item")
_DUE = insert(occurrences).values({name: bindparam(name, type_=occurrences.c[name].type) for name in (*_IDS, *_SAID_DUE)})
_EXPECT = _DUE.on_conflict_do_update(
    index_elements=["occurrence_id"],
    set_={name: _DUE.excluded[name] for name in _SAID_DUE},
    where=occurrences.c.due_version < _DUE.excluded.due_version,
).returning(*occurrences.c, _FACTS)


async def expect(unit: Unit, one: Occurrence) -> Record | None:
    """Takes a due event's window; None where one of the same or a newer plan version is there: that one stands."""
    values = {
        "occurrence_id": one.id,
        "clinic_id": one.clinic_id,
        "patient_id": one.patient_id,
        "kind": one.kind,
        "due_version": one.window.due_version,
        "due_at": one.window.due_at,
        "answer_until": one.window.answer_until,
        "local_date": one.local_date,
        "series_id": one.series_id,
        "medication_ids": list(one.medication_ids),
        "instrument": one.instrument,
        "item": one.item,
    }
    row = (await unit.conn.execute(_EXPECT, values)).first()
    return None if row is None else _record(row)


#: An incident of the clinic's channel at any time of the window.
_CHANNEL_DOWN = exists().where(
    incidents.c.clinic_id == occurrences.c.clinic_id,
    or_(incidents.c.opened_at.is_(None), incidents.c.opened_at <= occurrences.c.answer_until),
    or_(incidents.c.cleared_at.is_(None), incidents.c.cleared_at >= occurrences.c.due_at),
)
_ALL_WANTED = occurrences.c.occurrence_id == any_(bindparam("wanted", type_=IDS))
_IS_PARKED = waits_for_a_person(_SERVICE, occurrences.c.patient_id).label("is_parked")
_CLOSING: Select[Any] = select(*occurrences.c, _FACTS, _IS_PARKED, _CHANNEL_DOWN.label("down")).where(
    _ALL_WANTED, ~occurrences.c.closed
)


async def closing(unit: Unit, wanted: Sequence[UUID]) -> list[Record]:
    """Those of the records that are known and still open, as they are once their window has closed, in the order asked for. With
    it goes whether the record was incomplete then (the patient's key was parked), and whether the channel was down meanwhile."""
    rows = {row.occurrence_id: row for row in await unit.conn.execute(_CLOSING, {"wanted": list(wanted)})}
    return [_closed(rows[each]) for each in wanted if each in rows]


def _closed(row: Row[Any]) -> Record:
    found = _record(row)
    window = replace(found.one.window, closed=True, incomplete=row.is_parked, channel_down=row.down)
    return replace(found, one=replace(found.one, window=window))


_SAVE = update(occurrences).where(_WANTED)
_REMEMBER = insert(history)


async def save(unit: Unit, revisions: Sequence[Revision]) -> None:
    """Replaces what stands of each (window and outcome), and adds what is news to the history."""
    if revisions:
        await unit.conn.execute(_SAVE, [_standing(each.one) for each in revisions])
    news = [_line(unit, each.one) for each in revisions if each.is_news]
    if news:
        await unit.conn.execute(_REMEMBER, news)


def _standing(one: Occurrence) -> dict[str, Any]:
    return {
        "wanted": one.id,
        "closed": one.window.closed,
        "incomplete": one.window.incomplete,
        "channel_down": one.window.channel_down,
        "state": one.state,
        "why": one.why,
        "late": one.late,
        "reason": one.reason,
        "outcome_at": one.outcome_at,
        "scores": one.scores,
        "revision": one.revision,
    }


def _line(unit: Unit, one: Occurrence) -> dict[str, Any]:
    ids = {"occurrence_id": one.id, "revision": one.revision, "clinic_id": one.clinic_id}
    return ids | {"state": one.state, "why": one.why, "late": one.late, "at": one.outcome_at, "said_at": unit.now}
