"""Doses and check-ins: their windows, the facts about them, and what has been said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.checkins import CheckInOutcome
from services.adherence.domain.doses import DoseOutcome, Ledger
from services.adherence.domain.rules import DoseOnRecord
from services.adherence.domain.silence import Fact, Window
from services.adherence.storage.tables import facts, history, incidents, occurrences, requests
from shared.messaging.unit import Unit

#: Statements that every event meets are made once: making one costs as much as running it.
_WANTED = occurrences.c.occurrence_id == bindparam("wanted")
_GET, _SAVE = select(occurrences).where(_WANTED), update(occurrences).where(_WANTED)
_FACTS = select(facts).where(facts.c.occurrence_id == bindparam("wanted"))
_ADD_FACT = insert(facts).on_conflict_do_nothing(index_elements=["fact_id"])


@dataclass(frozen=True)
class Occurrence:
    """A dose or a check-in as it stands. `medication_ids` for doses; `instrument` and `item` for check-ins."""

    id: UUID
    clinic_id: UUID
    patient_id: UUID
    kind: str
    local_date: date
    window: Window
    series_id: UUID | None = None
    medication_ids: tuple[UUID, ...] = ()
    instrument: str | None = None
    item: str | None = None
    state: str = "expected"
    why: str | None = None
    late: bool = False
    reason: str | None = None
    outcome_at: datetime | None = None
    revision: int = 0
    clarified: int = 0
    acknowledged: bool = False
    scores: dict[str, int] = field(default_factory=dict)

    def ledger(self, known: Sequence[Fact]) -> Ledger:
        """The dose's record, for the domain to decide on."""
        if self.revision == 0 or self.outcome_at is None:
            return Ledger(self.window, frozenset(known), None, self.revision)
        said = DoseOutcome(self.state, self.outcome_at, self.why, self.late, self.reason)  # type: ignore[arg-type]
        return Ledger(self.window, frozenset(known), said, self.revision)


def _window(row: Row[Any]) -> Window:
    return Window(row.due_at, row.answer_until, row.due_version, row.closed, row.incomplete, row.channel_down)


def _occurrence(row: Row[Any]) -> Occurrence:
    return Occurrence(
        id=row.occurrence_id,
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        kind=row.kind,
        local_date=row.local_date,
        window=_window(row),
        series_id=row.series_id,
        medication_ids=tuple(row.medication_ids),
        instrument=row.instrument,
        item=row.item,
        state=row.state,
        why=row.why,
        late=row.late,
        reason=row.reason,
        outcome_at=row.outcome_at,
        revision=row.revision,
        clarified=row.clarified,
        acknowledged=row.acknowledged,
        scores=dict(row.scores),
    )


async def get(unit: Unit, occurrence_id: UUID) -> Occurrence | None:
    """None: not said due yet; facts about it wait as rows until it is."""
    found = await unit.conn.execute(_GET, {"wanted": occurrence_id})
    row = found.first()
    return None if row is None else _occurrence(row)


async def expect(unit: Unit, one: Occurrence) -> bool:
    """Takes a due event's window, unless one of the same or a newer plan version is there. Whether it was taken."""
    fresh = {
        "due_version": one.window.due_version,
        "due_at": one.window.due_at,
        "answer_until": one.window.answer_until,
        "local_date": one.local_date,
        "series_id": one.series_id,
        "medication_ids": list(one.medication_ids),
        "instrument": one.instrument,
        "item": one.item,
    }
    ids = {"occurrence_id": one.id, "clinic_id": one.clinic_id, "patient_id": one.patient_id, "kind": one.kind}
    statement = insert(occurrences).values(**ids, **fresh)
    newer = occurrences.c.due_version < statement.excluded.due_version
    taken = await unit.conn.execute(
        statement.on_conflict_do_update(index_elements=["occurrence_id"], set_=fresh, where=newer).returning(
            occurrences.c.occurrence_id
        )
    )
    return taken.first() is not None


async def add_fact(unit: Unit, clinic_id: UUID, patient_id: UUID, occurrence_id: UUID, fact: Fact) -> None:
    """Keeps a fact as it came. The same fact twice is one."""
    values = {
        "fact_id": fact.id,
        "occurrence_id": occurrence_id,
        "clinic_id": clinic_id,
        "patient_id": patient_id,
        "kind": fact.kind,
        "at": fact.at,
        "value": fact.value,
        "reason": fact.reason,
        "score": fact.score,
        "item": fact.item,
        "version": fact.version,
    }
    await unit.conn.execute(_ADD_FACT, values)


async def facts_of(unit: Unit, occurrence_id: UUID) -> list[Fact]:
    rows = await unit.conn.execute(_FACTS, {"wanted": occurrence_id})
    return [Fact(r.fact_id, r.kind, r.at, r.value, r.reason, r.score, r.item, r.version) for r in rows]


async def close(unit: Unit, one: Occurrence, *, incomplete: bool) -> None:
    """Closes the window: with it, whether the record was incomplete then and whether the channel was down meanwhile."""
    overlaps = select(incidents.c.incident_id).where(
        incidents.c.clinic_id == one.clinic_id,
        or_(incidents.c.opened_at.is_(None), incidents.c.opened_at <= one.window.answer_until),
        or_(incidents.c.cleared_at.is_(None), incidents.c.cleared_at >= one.window.due_at),
    )
    down = (await unit.conn.execute(overlaps.limit(1))).first() is not None
    same = (occurrences.c.occurrence_id == one.id) & ~occurrences.c.closed
    await unit.conn.execute(update(occurrences).where(same).values(closed=True, incomplete=incomplete, channel_down=down))


async def save_dose(unit: Unit, one: Occurrence, outcome: DoseOutcome, revision: int) -> None:
    """Replaces what stands and adds it to the history."""
    values = {"state": outcome.state, "why": outcome.why, "late": outcome.late, "reason": outcome.reason}
    await _save(unit, one, values | {"outcome_at": outcome.at, "revision": revision})
    await _remember(unit, one, outcome.state, outcome.why, outcome.late, outcome.at, revision)


async def save_check_in(unit: Unit, one: Occurrence, outcome: CheckInOutcome) -> None:
    late = any(score.late for score in outcome.scores.values())
    scores = {item: score.value for item, score in outcome.scores.items()}
    values = {"state": outcome.state, "why": outcome.why, "late": late, "outcome_at": outcome.at, "scores": scores}
    await _save(unit, one, values | {"revision": one.revision + 1})
    await _remember(unit, one, outcome.state, outcome.why, late, outcome.at, one.revision + 1)


async def _save(unit: Unit, one: Occurrence, values: dict[str, Any]) -> None:
    await unit.conn.execute(_SAVE, {"wanted": one.id} | values)


async def _remember(unit: Unit, one: Occurrence, state: str, why: str | None, late: bool, at: datetime, revision: int) -> None:
    ids = {"occurrence_id": one.id, "revision": revision, "clinic_id": one.clinic_id}
    await unit.conn.execute(insert(history).values(**ids, state=state, why=why, late=late, at=at, said_at=unit.now))


async def set_clarified(unit: Unit, one: Occurrence) -> None:
    await _save(unit, one, {"clarified": one.clarified + 1})


async def set_acknowledged(unit: Unit, one: Occurrence) -> None:
    await _save(unit, one, {"acknowledged": True})


async def doses_since(unit: Unit, patient_id: UUID, since: datetime, medication_id: UUID | None = None) -> list[DoseOnRecord]:
    """The patient's doses that were due since then, withdrawn ones left out; of one medicine where it is named."""
    wanted = [
        occurrences.c.patient_id == patient_id,
        occurrences.c.kind == "dose",
        occurrences.c.due_at >= since,
        occurrences.c.state != "withdrawn",
    ]
    if medication_id is not None:
        wanted.append(occurrences.c.medication_ids.contains([medication_id]))
    rows = await unit.conn.execute(
        select(occurrences.c.due_at, occurrences.c.state, occurrences.c.why).where(*wanted).order_by(occurrences.c.due_at)
    )
    return [DoseOnRecord(row.due_at, row.state, row.why) for row in rows]


async def series_states(unit: Unit, one: Occurrence, limit: int = 60) -> list[str]:
    """States of the series up to this check-in, newest first."""
    statement = select(occurrences.c.state).where(
        occurrences.c.series_id == one.series_id, occurrences.c.due_at <= one.window.due_at
    )
    return list((await unit.conn.execute(statement.order_by(occurrences.c.due_at.desc()).limit(limit))).scalars())


async def ask(unit: Unit, one: Occurrence, request_id: UUID, item: str) -> bool:
    """Remembers a question of a running conversation. False: it has been asked already."""
    statement = insert(requests).values(
        request_id=request_id, clinic_id=one.clinic_id, patient_id=one.patient_id, occurrence_id=one.id, item=item
    )
    done = await unit.conn.execute(statement.on_conflict_do_nothing().returning(requests.c.request_id))
    return done.first() is not None


async def asked(unit: Unit, request_id: UUID) -> tuple[UUID | None, str] | None:
    """(occurrence, item) of a question of ours, or None."""
    row = (await unit.conn.execute(select(requests).where(requests.c.request_id == request_id))).first()
    return None if row is None else (row.occurrence_id, row.item)
