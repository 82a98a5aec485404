"""What was said before is not said again: a unit that knows its service's own words of the forgotten time.

An event with a deterministic id needs none of this. One with a random id is recognised by what it is about (`Identity`): the
handler, carrying out again what it has forgotten, gets the id under which that was said, and nothing new goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

from shared.events.base import Event, stable_id
from shared.messaging import codec
from shared.messaging.unit import Handlers, Unit
from shared.restore.own import Said

#: What an event is about, so that saying it twice would be a repetition; None where every one is a fact of its own.
Identity: TypeAlias = Callable[[Event], Hashable | None]


class Words:
    """The service's own events since the backup, in the order of their time."""

    def __init__(self, said: Iterable[Said], identity: Identity) -> None:
        self.all = tuple(said)
        self._identity = identity
        self._known: dict[Hashable, UUID] = {}
        for one in self.all:
            about = identity(one.event)
            if about is not None:
                self._known[about] = one.envelope.id

    def id_of(self, event: Event) -> UUID | None:
        """Under which id it was said, where it was."""
        about = self._identity(event)
        return None if about is None else self._known.get(about)


def restated_id(event: Event) -> UUID:
    """The id of a state that is said again as it is: made of all that it says, so that it can be told from a change."""
    return stable_id("restated", event.full_type, sha256(codec.body_of(event)).hexdigest())


def is_restated(said: Said) -> bool:
    """Whether it was said by an earlier way back, not by a change."""
    return said.envelope.id == restated_id(said.event)


class RestatingUnit(Unit):
    """A unit that says state again: nothing has changed but its version."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit.conn, now=unit.now, service=unit.service, cipher=unit.cipher, buffers=unit.buffers)

    def emit(self, event: Event, *, event_id: UUID | None = None, **more: Any) -> UUID:
        return super().emit(event, event_id=event_id or restated_id(event), **more)


class RememberingUnit(Unit):
    """A unit on the way back: says only what has not been said."""

    def __init__(self, unit: Unit, words: Words) -> None:
        super().__init__(
            unit.conn,
            now=unit.now,
            service=unit.service,
            cipher=unit.cipher,
            cause=unit.cause,
            correlation_id=unit.correlation_id,
            traceparent=unit.traceparent,
            buffers=unit.buffers,
        )
        self.words = words

    def emit(self, event: Event, *, event_id: UUID | None = None, **more: Any) -> UUID:
        known = self.words.id_of(event) if event_id is None else None
        return known or super().emit(event, event_id=event_id, **more)


def remembering(handlers: Handlers, words: Words, also: Mapping[type[Event], Callable[[Event], None]]) -> Handlers:
    """The handlers with such a unit; `also` is told of what was heard."""
    return {model: _remembering(handler, words, also.get(model)) for model, handler in handlers.items()}


def _remembering(
    handler: Callable[[Unit, Any], Any], words: Words, tell: Callable[[Event], None] | None
) -> Callable[[Unit, Any], Any]:
    async def remembered(unit: Unit, event: Event) -> None:
        await handler(RememberingUnit(unit, words), event)
        if tell is not None:
            tell(event)

    return remembered
