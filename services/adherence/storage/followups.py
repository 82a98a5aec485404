"""Follow-ups and the words on them; labs and vital signs that are due, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.followups import FollowUpOutcome, Word
from services.adherence.storage.tables import follow_ups, monitoring, results, words
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class FollowUp:
    id: UUID
    clinic_id: UUID
    patient_id: UUID
    deadline_at: datetime
    due_on: date | None = None
    occurrence_id: UUID | None = None
    deadline_passed: bool = False
    expected: bool = True
    state: str = "pending"
    source: str | None = None
    outcome_at: datetime | None = None

    @property
    def outcome(self) -> FollowUpOutcome:
        return FollowUpOutcome(self.state, self.source, self.outcome_at)  # type: ignore[arg-type]


def follow_up_of(row: Row[Any]) -> FollowUp:
    return FollowUp(
        row.follow_up_id,
        row.clinic_id,
        row.patient_id,
        row.deadline_at,
        row.due_on,
        row.occurrence_id,
        row.deadline_passed,
        row.expected,
        row.state,
        row.source,
        row.outcome_at,
    )


async def get(unit: Unit, follow_up_id: UUID) -> FollowUp | None:
    row = (await unit.conn.execute(select(follow_ups).where(follow_ups.c.follow_up_id == follow_up_id))).first()
    return None if row is None else follow_up_of(row)


async def by_occurrence(unit: Unit, occurrence_id: UUID) -> FollowUp | None:
    row = (await unit.conn.execute(select(follow_ups).where(follow_ups.c.occurrence_id == occurrence_id))).first()
    return None if row is None else follow_up_of(row)


async def of_patient(unit: Unit, patient_id: UUID) -> list[FollowUp]:
    rows = await unit.conn.execute(select(follow_ups).where(follow_ups.c.patient_id == patient_id))
    return [follow_up_of(row) for row in rows]


async def put(unit: Unit, one: FollowUp, **fresh: Any) -> None:
    """Makes the row, or changes only `fresh` of the one that is there."""
    values = {
        "follow_up_id": one.id,
        "clinic_id": one.clinic_id,
        "patient_id": one.patient_id,
        "deadline_at": one.deadline_at,
        "due_on": one.due_on,
    }
    statement = insert(follow_ups).values(**(values | fresh))
    changed = statement.on_conflict_do_update(index_elements=["follow_up_id"], set_=fresh or {"due_on": follow_ups.c.due_on})
    await unit.conn.execute(changed)


async def save(unit: Unit, one: FollowUp, outcome: FollowUpOutcome) -> None:
    values = {"state": outcome.state, "source": outcome.source, "outcome_at": outcome.at}
    await unit.conn.execute(update(follow_ups).where(follow_ups.c.follow_up_id == one.id).values(**values))


async def add_word(unit: Unit, one: FollowUp, word: Word) -> None:
    statement = insert(words).values(
        word_id=word.id, follow_up_id=one.id, clinic_id=one.clinic_id, source=word.source, outcome=word.outcome, at=word.at
    )
    await unit.conn.execute(statement.on_conflict_do_nothing(index_elements=["word_id"]))


async def words_on(unit: Unit, follow_up_id: UUID) -> list[Word]:
    rows = await unit.conn.execute(select(words).where(words.c.follow_up_id == follow_up_id))
    return [Word(row.word_id, row.source, row.outcome, row.at) for row in rows]


@dataclass(frozen=True)
class Monitoring:
    """A lab or vital sign that is due."""

    occurrence_id: UUID
    clinic_id: UUID
    patient_id: UUID
    monitoring_id: UUID
    due_on: date
    deadline_at: datetime


async def put_monitoring(unit: Unit, one: Monitoring) -> None:
    fresh = {"due_on": one.due_on, "deadline_at": one.deadline_at}
    statement = insert(monitoring).values(
        occurrence_id=one.occurrence_id,
        clinic_id=one.clinic_id,
        patient_id=one.patient_id,
        monitoring_id=one.monitoring_id,
        **fresh,
    )
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["occurrence_id"], set_=fresh))


async def monitoring_of(unit: Unit, occurrence_id: UUID) -> Monitoring | None:
    row = (await unit.conn.execute(select(monitoring).where(monitoring.c.occurrence_id == occurrence_id))).first()
    if row is None:
        return None
    return Monitoring(row.occurrence_id, row.clinic_id, row.patient_id, row.monitoring_id, row.due_on, row.deadline_at)


async def due_before(unit: Unit, monitoring_id: UUID, recorded_on: date) -> list[UUID]:
    """The occurrences that a result of that day answers: those due until then."""
    statement = select(monitoring.c.occurrence_id).where(
        monitoring.c.monitoring_id == monitoring_id, monitoring.c.due_on <= recorded_on
    )
    return list((await unit.conn.execute(statement)).scalars())


async def put_result(unit: Unit, clinic_id: UUID, patient_id: UUID, monitoring_id: UUID, recorded_on: date) -> None:
    statement = insert(results).values(
        monitoring_id=monitoring_id, recorded_on=recorded_on, clinic_id=clinic_id, patient_id=patient_id
    )
    await unit.conn.execute(statement.on_conflict_do_nothing())


async def has_result(unit: Unit, one: Monitoring) -> bool:
    statement = select(results.c.recorded_on).where(
        results.c.monitoring_id == one.monitoring_id, results.c.recorded_on >= one.due_on
    )
    return (await unit.conn.execute(statement.limit(1))).first() is not None
