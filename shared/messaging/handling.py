"""The one transaction between a record and its effect: patient locks, inbox, handlers in order, events and due work, commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import tracing
from shared.clock import Clock
from shared.crypto import FieldCipher
from shared.events.base import Envelope, Event
from shared.messaging import inbox, parking
from shared.messaging.counts import Counts
from shared.messaging.locks import lock_keys
from shared.messaging.reading import Arrived
from shared.messaging.unit import Buffers, Handlers, Unit, Wake


def _nobody(_name: str) -> None:
    """Wakes no pass: there is none in this process."""


async def _run(handler: Callable[[Unit, Any], Awaitable[None]], unit: Unit, event: Event) -> None:
    await handler(unit, event)


@dataclass
class Handling:
    """What it takes to handle events of one service."""

    service: str
    engine: AsyncEngine
    clock: Clock
    cipher: FieldCipher
    handlers: Handlers
    counts: Counts
    wake: Wake = _nobody

    async def as_batch(self, arrived: Sequence[Arrived]) -> bool:
        """All in one transaction or none; whether any of it was new. Every record must be readable; markers have no effect, and
        events that nobody here handles have none either: they cost no transaction, and whether they are new is not known."""
        said = [each for each in arrived if not each.is_marker]
        events = [each for each in said if each.event is None or type(each.event) in self.handlers]
        buffers, seen = Buffers(), Counts(without_handler=len(said) - len(events))
        if events:
            with tracing.delivered(events):
                await self._in_one(events, buffers, seen)
        self._count(seen)
        buffers.committed(self.wake)
        return seen.repeats < len(events)

    async def _in_one(self, events: Sequence[Arrived], buffers: Buffers, seen: Counts) -> None:
        async with self.engine.begin() as conn:
            # The locks first: they come before the transaction writes anything, so that per key the order of transaction ids,
            # of seq and of commits is one and the same; and before any row lock, so that tick and delivery never deadlock.
            await lock_keys(conn, self.service, [each.key for each in events])
            await self._in_order(conn, events, buffers, seen)
            await self.unit(conn, buffers).flush()

    async def _in_order(self, conn: AsyncConnection, events: Sequence[Arrived], buffers: Buffers, seen: Counts) -> None:
        ids, keys = [each.event_id for each in events], [each.key for each in events]
        fresh, blocked = await inbox.admit(conn, self.service, ids, keys)
        for each in events:
            if each.event_id not in fresh:
                seen.repeats += 1
                continue
            fresh.discard(each.event_id)
            if each.event is None or each.envelope is None:
                raise ValueError("an unreadable record is parked before")
            if each.key in blocked and not each.event.passes_parking:
                await parking.park(conn, self.service, each, now=self.clock.now(), error=None, attempts=0)
                seen.parked_behind += 1
            else:
                with tracing.handling(each):
                    await self.call(conn, each.envelope, each.event, buffers, seen)

    def unit(self, conn: AsyncConnection, buffers: Buffers, cause: Envelope | None = None) -> Unit:
        """A unit over the transaction; its owner flushes the buffers before the commit."""
        return Unit(conn, now=self.clock.now(), service=self.service, cipher=self.cipher, cause=cause, buffers=buffers)

    async def call(self, conn: AsyncConnection, envelope: Envelope, event: Event, buffers: Buffers, seen: Counts) -> None:
        """Hands the event to its handler, in a task of its own so that no context variable of one event reaches the next."""
        handler = self.handlers.get(type(event))
        if handler is None:
            seen.without_handler += 1
            return
        await asyncio.create_task(_run(handler, self.unit(conn, buffers, envelope), event))
        seen.handled += 1

    async def park(self, arrived: Arrived, *, error: str, attempts: int) -> bool:
        """Puts the record away, in a transaction of its own; False where it has had its effect (or is parked) already."""
        async with self.engine.begin() as conn:
            await lock_keys(conn, self.service, [arrived.key])
            if not await inbox.enter(conn, self.service, [arrived.event_id]):
                return False
            await parking.park(conn, self.service, arrived, now=self.clock.now(), error=error, attempts=attempts)
        self.counts.parked += 1
        return True

    def _count(self, seen: Counts) -> None:
        for name, value in vars(seen).items():
            setattr(self.counts, name, getattr(self.counts, name) + value)
