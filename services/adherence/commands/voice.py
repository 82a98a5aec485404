"""Everything that adherence hears about a patient and everything that it says goes onto that patient's timeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from uuid import UUID

from services.adherence.storage import timeline
from services.adherence.storage.timeline import Line
from shared.events.base import Event
from shared.messaging.unit import Unit

#: What made adherence say something: an event's id, or the kind of due work, or "command".
Because: TypeAlias = UUID | str | None

#: What the units inside `noting` have to put onto timelines.
_unwritten: dict[Unit, list[Line]] = {}


@asynccontextmanager
async def noting(unit: Unit) -> AsyncIterator[None]:
    """Whatever the unit sees and says in here is written in one statement at its end, in the order in which it was noted. Left
    by an exception nothing is: its transaction is rolled back."""
    lines = _unwritten[unit] = []
    try:
        yield
    finally:
        del _unwritten[unit]
    await timeline.remember(unit, lines)


async def _note(unit: Unit, line: Line) -> None:
    if unit in _unwritten:
        _unwritten[unit].append(line)
    else:
        await timeline.remember(unit, [line])


async def saw(unit: Unit, event: Event) -> None:
    """Notes the event being handled, at its own clinical time."""
    if unit.cause is None:
        raise ValueError("only the handler of an event has seen one")
    line = timeline.line(
        event,
        event_id=unit.cause.id,
        at=unit.cause.time,
        occurrence_id=getattr(event, "occurrence_id", None),
        causation_id=unit.cause.causation_id,
        cause=None,
    )
    await _note(unit, line)


async def say(
    unit: Unit, event: Event, *, because: Because = None, occurrence_id: UUID | None = None, event_id: UUID | None = None
) -> UUID:
    """Emits the event and notes it. `because` is by default the event being handled, else a command. Returns the event's id."""
    said = unit.emit(event, event_id=event_id)
    if because is None:
        because = unit.cause.id if unit.cause is not None else "command"
    line = timeline.line(
        event,
        event_id=said,
        at=unit.now,
        occurrence_id=getattr(event, "occurrence_id", None) or occurrence_id,
        causation_id=because if isinstance(because, UUID) else None,
        cause=because if isinstance(because, str) else None,
    )
    await _note(unit, line)
    return said
