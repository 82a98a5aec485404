"""Everything that adherence hears about a patient and everything that it says goes onto that patient's timeline, with the
transaction, all of it in one statement."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from services.adherence.storage import timeline
from shared.events.base import Event
from shared.messaging.unit import Unit

#: What made adherence say something: an event's id, or the kind of due work, or "command".
Because: TypeAlias = UUID | str | None


def saw(unit: Unit, event: Event) -> None:
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
    unit.later(timeline.remember, line)


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
    unit.later(timeline.remember, line)
    return said
