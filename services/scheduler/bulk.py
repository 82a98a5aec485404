"""Many plans in one transaction, by the same reading, deciding and writing as one (commands, versions)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.scheduler import commands, versions
from services.scheduler.bodies import PlanBody
from services.scheduler.commands import Decided, Statement
from services.scheduler.pieces import WHOLE, Piece
from services.scheduler.storage import clinics, plans
from shared.errors import DomainError
from shared.http import bulk
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Item:
    """One patient's statement. `external`: the clinic's own id of the patient, where the caller used it."""

    patient: UUID
    external: str | None
    body: PlanBody
    piece: Piece = WHOLE


@dataclass(frozen=True)
class Put:
    """What an item means. `fresh`: medicines as the caller named them that are new or differ from what was stated before."""

    statement: Statement
    decided: Decided
    fresh: frozenset[str]


async def decide(unit: Unit, clinic_id: UUID, items: Sequence[Item | DomainError]) -> list[Put | DomainError]:
    """Reads, checks and decides all items; writes nothing. The refusals keep their places."""
    clinic = (await clinics.load(unit.conn, [clinic_id]))[clinic_id]
    rows = await plans.load(unit.conn, [one.patient for one in bulk.good(items)])

    def one(item: Item | DomainError) -> Put | DomainError:
        if isinstance(item, DomainError):
            return item
        try:
            row = rows.get(item.patient)
            statement = commands.read(clinic, row, unit.cipher, item.patient, item.external, item.body, item.piece)
            return Put(statement, commands.decide(statement, unit.cipher, unit.now), _fresh(statement))
        except DomainError as refusal:
            return refusal

    return [one(item) for item in items]


def _fresh(statement: Statement) -> frozenset[str]:
    before = {one.id: one for one in statement.base.medicines} if statement.base else {}
    differ = {str(one.id) for one in statement.plan.medicines if before.get(one.id) != one}
    named = statement.names.medicines.items()
    return frozenset(external for ours, called in named if ours in differ and (external := called["id"]) is not None)


async def write(unit: Unit, puts: Sequence[Put]) -> Sequence[Put]:
    """Writes what was decided, under the locks of all these patients."""
    todo = [(one, one.decided.row) for one in puts if one.decided.row is not None]
    await versions.catch_up(unit, [one.statement.row for one, _ in todo if one.statement.row is not None])
    moved = [versions.moved(row, one.decided.change) for one, row in todo if one.decided.change.facts]
    if moved:
        await versions.save(unit, moved)
    await plans.save(unit.conn, [row for one, row in todo if not one.decided.change.facts], unit.now)
    return puts
