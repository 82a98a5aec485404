"""What a moment brings by the hundred: due events, texts sent and delivered. All that come in a row are kept in one statement.

Most of them change nothing that is said of an occurrence, and still each has to be kept and its record looked at. So they wait
(`unit.later`) until an event of another kind comes or the transaction ends. Then they are kept together, and each has its effect
in the order in which they came, under its own cause. Whatever else the transaction handles finds them done. (A trace shows it
so: what is said of one that waited hangs beneath its cause, not beneath its handling, which has ended by then.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from services.adherence.commands import outcomes
from services.adherence.commands.voice import saw
from services.adherence.storage import records
from services.adherence.storage.occurrences import Occurrence
from services.adherence.storage.records import Heard
from shared.events.base import Event
from shared.messaging.unit import Handler, Unit

T = TypeVar("T")


@dataclass(frozen=True)
class _Left(Generic[T]):
    """An event that waits, with the unit it came in: its own cause and instant."""

    unit: Unit
    event: Event
    brings: T


async def _hear(unit: Unit, left: Sequence[_Left[Heard | None]]) -> None:
    heard = [each.brings for each in left if each.brings is not None]
    found = await records.hear(unit, heard) if heard else {}
    for each in left:
        saw(each.unit, each.event)
        if each.brings is not None:
            await outcomes.settle_heard(each.unit, each.brings, found)


async def _expect(unit: Unit, left: Sequence[_Left[Occurrence]]) -> None:
    for group in _of_different_patients(left):
        taken = await records.expect(unit, [each.brings for each in group])
        for each in group:
            saw(each.unit, each.event)
            await outcomes.settle_due(each.unit, each.brings, taken)


def _of_different_patients(left: Sequence[_Left[Occurrence]]) -> list[list[_Left[Occurrence]]]:
    """In their order. What follows from a dose is judged by the doses of its patient that were said due before it, not after."""
    groups: list[list[_Left[Occurrence]]] = []
    patients: set[UUID] = set()
    for each in left:
        if not groups or each.brings.patient_id in patients:
            groups.append([])
            patients.clear()
        groups[-1].append(each)
        patients.add(each.brings.patient_id)
    return groups


def hears(of: Callable[[Unit, Any], Heard | None]) -> Handler[Any]:
    """Handles an event that brings at most a fact, and does nothing else."""

    async def left(unit: Unit, event: Event) -> None:
        await unit.write_left(_expect)
        unit.later(_hear, _Left(unit, event, of(unit, event)))

    return left


def expects(of: Callable[[Any], Occurrence]) -> Handler[Any]:
    """Handles an event that says an occurrence due."""

    async def left(unit: Unit, event: Event) -> None:
        await unit.write_left(_hear)
        unit.later(_expect, _Left(unit, event, of(event)))

    return left


def alone(handler: Handler[Any]) -> Handler[Any]:
    """Any other event: it finds what came before it. It goes onto the patient's timeline before it has its effect, so that causes
    stand before effects."""

    async def noted(unit: Unit, event: Event) -> None:
        await unit.write_left(_hear, _expect)
        saw(unit, event)
        await handler(unit, event)

    return noted
