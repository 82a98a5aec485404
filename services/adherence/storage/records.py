"""The record of a dose or a check-in, read whole and written whole, in as few statements as it takes: every event meets them.

Everybody here holds the patient's lock: nobody else writes these rows, so what was read still stands when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Text,
    any_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import TypeEngine

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

    def with_fact(self, fact: Fact) -> Record:
        """The same fact twice is one."""
        known = any(each.id == fact.id for each in self.facts)
        return self if known else replace(self, facts=(*self.facts, fact))


@dataclass(frozen=True)
class Heard:
    """A fact that has come in, and what it is about."""

    clinic_id: UUID
    patient_id: UUID
    occurrence_id: UUID
    fact: Fact


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


_ALL_WANTED = occurrences.c.occurrence_id == any_(bindparam("wanted", type_=IDS))


def _each(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Of many rows that come as an array a column: one prepared statement serves whatever their number."""
    return func.unnest(bindparam(name, type_=ARRAY(kind)))


# Facts come in: they are kept, and their records are read, in one statement. That sees the facts from before it.
_NEW = (
    insert(facts)
    .from_select(list(facts.c.keys()), select(*(_each(f"new_{column.name}", column.type) for column in facts.c)))
    .on_conflict_do_nothing(index_elements=["fact_id"])
    .cte("new")
)
_HEAR: Select[Any] = select(*occurrences.c, _FACTS).where(_ALL_WANTED).add_cte(_NEW)


async def hear(unit: Unit, heard: Sequence[Heard]) -> dict[UUID, Record]:
    """Keeps facts as they came. By occurrence: its record as it was before them; none as for `get`."""
    values = {
        "wanted": list({each.occurrence_id for each in heard}),
        "new_fact_id": [each.fact.id for each in heard],
        "new_occurrence_id": [each.occurrence_id for each in heard],
        "new_clinic_id": [each.clinic_id for each in heard],
        "new_patient_id": [each.patient_id for each in heard],
        "new_kind": [each.fact.kind for each in heard],
        "new_at": [each.fact.at for each in heard],
        "new_value": [each.fact.value for each in heard],
        "new_reason": [each.fact.reason for each in heard],
        "new_score": [each.fact.score for each in heard],
        "new_item": [each.fact.item for each in heard],
        "new_version": [each.fact.version for each in heard],
    }
    return {row.occurrence_id: _record(row) for row in await unit.conn.execute(_HEAR, values)}


#: What a due event says of its occurrence.
_SAID_DUE = ("due_version", "due_at", "answer_until", "local_date", "series_id", "medication_ids", "instrument", "item")
#: Lists of medicines differ in length, so that they make no array: each comes as PostgreSQL writes one.
_MEDICINES = cast(_each("medication_ids", Text()), IDS)
_COMES_DUE = {
    name: _MEDICINES if name == "medication_ids" else _each(name, occurrences.c[name].type)
    for name in ("occurrence_id", "clinic_id", "patient_id", "kind", *_SAID_DUE)
}
_DUE = insert(occurrences).from_select(list(_COMES_DUE), select(*_COMES_DUE.values()))
_EXPECT = _DUE.on_conflict_do_update(
    index_elements=["occurrence_id"],
    set_={name: _DUE.excluded[name] for name in _SAID_DUE},
    where=occurrences.c.due_version < _DUE.excluded.due_version,
).returning(*occurrences.c, _FACTS)


async def expect(unit: Unit, due: Sequence[Occurrence]) -> dict[UUID, Record]:
    """Takes the windows of due events, no two of one occurrence. By occurrence: the record with its window; none where one of the
    same or a newer plan version is there: that one stands."""
    values = {
        "occurrence_id": [one.id for one in due],
        "clinic_id": [one.clinic_id for one in due],
        "patient_id": [one.patient_id for one in due],
        "kind": [one.kind for one in due],
        "due_version": [one.window.due_version for one in due],
        "due_at": [one.window.due_at for one in due],
        "answer_until": [one.window.answer_until for one in due],
        "local_date": [one.local_date for one in due],
        "series_id": [one.series_id for one in due],
        "medication_ids": [f"{{{','.join(map(str, one.medication_ids))}}}" for one in due],
        "instrument": [one.instrument for one in due],
        "item": [one.item for one in due],
    }
    return {row.occurrence_id: _record(row) for row in await unit.conn.execute(_EXPECT, values)}


#: An incident of the clinic's channel at any time of the window.
_CHANNEL_DOWN = exists().where(
    incidents.c.clinic_id == occurrences.c.clinic_id,
    or_(incidents.c.opened_at.is_(None), incidents.c.opened_at <= occurrences.c.answer_until),
    or_(incidents.c.cleared_at.is_(None), incidents.c.cleared_at >= occurrences.c.due_at),
)
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
