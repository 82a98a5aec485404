"""Doses and check-ins: their windows, the facts about them, and what has been said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.doses import DoseOutcome, Ledger
from services.adherence.domain.rules import DoseOnRecord
from services.adherence.domain.silence import Fact, Window
from services.adherence.storage.tables import IDS, facts, occurrences, requests
from shared.db import typed_sql
from shared.messaging.unit import Unit

#: Statements that every event meets are made once: making one costs as much as running it.
_WANTED = occurrences.c.occurrence_id == bindparam("wanted")
_GET, _SAVE = select(occurrences).where(_WANTED), update(occurrences).where(_WANTED)
_FACTS = select(facts).where(facts.c.occurrence_id == bindparam("wanted"))


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


def occurrence_of(row: Row[Any]) -> Occurrence:
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
    return None if row is None else occurrence_of(row)


async def facts_of(unit: Unit, occurrence_id: UUID) -> list[Fact]:
    rows = await unit.conn.execute(_FACTS, {"wanted": occurrence_id})
    return [Fact(r.fact_id, r.kind, r.at, r.value, r.reason, r.score, r.item, r.version) for r in rows]


async def _save(unit: Unit, one: Occurrence, values: dict[str, Any]) -> None:
    await unit.conn.execute(_SAVE, {"wanted": one.id} | values)


async def set_clarified(unit: Unit, one: Occurrence) -> None:
    await _save(unit, one, {"clarified": one.clarified + 1})


async def set_acknowledged(unit: Unit, one: Occurrence) -> None:
    await _save(unit, one, {"acknowledged": True})


_OUTCOME = (occurrences.c.patient_id, occurrences.c.due_at, occurrences.c.state, occurrences.c.why)
_DOSES = (
    select(*_OUTCOME)
    .where(
        occurrences.c.patient_id == any_(bindparam("patients", type_=IDS)),
        occurrences.c.kind == "dose",
        occurrences.c.due_at >= bindparam("since"),
        occurrences.c.state != "withdrawn",
    )
    .order_by(occurrences.c.due_at)
)
_DOSES_OF_ONE = _DOSES.where(occurrences.c.medication_ids.contains(bindparam("medications", type_=IDS)))


async def doses_since(
    unit: Unit, patients: Sequence[UUID], since: datetime, medication_id: UUID | None = None
) -> dict[UUID, list[DoseOnRecord]]:
    """Each patient's doses that were due since then, the earliest first, withdrawn ones left out; of one medicine where it is
    named."""
    wanted = {"patients": list(patients), "since": since}
    if medication_id is None:
        rows = await unit.conn.execute(_DOSES, wanted)
    else:
        rows = await unit.conn.execute(_DOSES_OF_ONE, wanted | {"medications": [medication_id]})
    found: dict[UUID, list[DoseOnRecord]] = {patient: [] for patient in patients}
    for patient, due_at, state, why in rows:
        found[patient].append(DoseOnRecord(due_at, state, why))
    return found


_SERIES = typed_sql(
    "adherence",
    "SELECT o.occurrence_id, ARRAY(SELECT s.state FROM ~occurrence AS s WHERE s.series_id = o.series_id"
    " AND s.due_at <= o.due_at ORDER BY s.due_at DESC LIMIT 60) AS states"
    " FROM ~occurrence AS o WHERE o.occurrence_id = ANY(:wanted)",
    binds=(("wanted", IDS),),
)


async def series_states(unit: Unit, wanted: Sequence[UUID]) -> dict[UUID, list[str]]:
    """By check-in: the states of its series up to it, newest first."""
    rows = await unit.conn.execute(_SERIES, {"wanted": list(wanted)})
    return {row.occurrence_id: row.states for row in rows}


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
