"""One transaction: what a handler, a fire, a command and a pass get to work with.

Whatever they say (events) and plan (due work) is buffered and written just before the commit, a statement each: the state rows,
the events and the due work of a transaction stand or fall together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from shared import tracing
from shared.crypto import FieldCipher
from shared.events.base import Envelope, Event, stable_id
from shared.messaging import outbox, parking, work
from shared.messaging.locks import lock_keys
from shared.messaging.outbox import OutboxRow
from shared.messaging.work import Planned, WorkItem

E = TypeVar("E", bound=Event)


@dataclass
class Buffers:
    """What one transaction still has to write, shared by every Unit over it."""

    events: list[OutboxRow] = field(default_factory=list)
    work: dict[tuple[str, str], Planned | None] = field(default_factory=dict)
    wakes: set[str] = field(default_factory=set)
    on_commit: list[Callable[[], None]] = field(default_factory=list)
    spans: list[tracing.Unended] = field(default_factory=list)
    later: dict[Later, list[Any]] = field(default_factory=dict)

    def committed(self, wake: Wake) -> None:
        """What waited for the commit. The owner of the transaction calls it right after; of one rolled back nobody does."""
        for do in self.on_commit:
            do()
        for name in self.wakes:
            wake(name)


#: Writes, in one go, what many events of a transaction have left to it.
Later: TypeAlias = Callable[["Unit", Sequence[Any]], Awaitable[None]]


class Unit:
    """One event, command or fire inside a transaction. `now` is clinical time, aware UTC; `cause` is the event being handled."""

    def __init__(
        self,
        conn: AsyncConnection,
        *,
        now: datetime,
        service: str,
        cipher: FieldCipher,
        cause: Envelope | None = None,
        correlation_id: UUID | None = None,
        traceparent: str | None = None,
        buffers: Buffers | None = None,
    ) -> None:
        self.conn = conn
        self.now = now
        self.service = service
        self.cipher = cipher
        self.cause = cause
        self._begins = correlation_id is None and cause is None
        self.correlation_id: UUID = correlation_id or (cause.correlation_id if cause else uuid4())
        self.traceparent = traceparent or (cause.traceparent if cause else None)
        self.buffers = buffers if buffers is not None else Buffers()

    async def lock(self, *keys: UUID, within: int | None = None) -> None:
        """Takes the patient lock of all the keys, in the one order everybody uses. Call it first, with all of them (rule 2).
        `within`: machine milliseconds after which the database ends the wait, and the transaction, with an error."""
        await lock_keys(self.conn, self.service, keys, within=within)

    def correlation_of(self, key: UUID) -> UUID:
        """The correlation id of what is said about a key: the cause's or the command's; what begins here, for a batch of patients
        (a fire, a pass), is a matter of its own for each."""
        return stable_id(self.correlation_id, key) if self._begins else self.correlation_id

    def emit(
        self, event: Event, *, event_id: UUID | None = None, causation_id: UUID | None = None, correlation_id: UUID | None = None
    ) -> UUID:
        """Says the event with this transaction. A deterministic id makes saying it twice a no-op; the default id is random.
        `causation_id`, `correlation_id`: those of what led to it, where that is not what is being handled."""
        event_id, correlation_id = event_id or uuid4(), correlation_id or self.correlation_of(event.key)
        causation_id = causation_id or (self.cause.id if self.cause else None)
        row = outbox.row_of(
            event,
            event_id=event_id,
            service=self.service,
            now=self.now,
            correlation_id=correlation_id,
            causation_id=causation_id,
            traceparent=tracing.said(self.buffers.spans, event, event_id, correlation_id, causation_id) or self.traceparent,
        )
        self.buffers.events.append(row)
        self.buffers.wakes.add("relay")
        return row.event_id

    async def plan_work(
        self, kind: str, ref: str, due_at: datetime, *, key: UUID, clinic_id: UUID, data: Mapping[str, Any] | None = None
    ) -> None:
        """Sets (kind, ref) due at a clinical instant, in place of what was planned under it before (a parked one too)."""
        self.buffers.work[kind, ref] = Planned(kind, ref, key, clinic_id, due_at, dict(data or {}))
        self.buffers.wakes.add("ticker")

    async def drop_work(self, kind: str, *refs: str) -> None:
        """Forgets planned work; what is not there is no error."""
        for ref in refs:
            self.buffers.work[kind, ref] = None

    async def is_parked(self, key: UUID) -> bool:
        """Whether an event or due work of this key waits for a person (DESIGN.md rule 10)."""
        return await parking.is_parked(self.conn, self.service, key)

    def after_commit(self, wake: str) -> None:
        """Wakes the named pass of this process ("ticker", "relay", "sender") once the transaction has committed."""
        self.buffers.wakes.add(wake)

    def on_commit(self, do: Callable[[], None]) -> None:
        """Calls it once the transaction has committed, never where it is rolled back. For counting and the like: it must not fail
        or wait, and a process that dies right after the commit has not called it."""
        self.buffers.on_commit.append(do)

    def later(self, write: Later, item: object) -> None:
        """Leaves the item to `write`, which gets all that the transaction has left to it at once: what each event of a batch
        would write by a statement of its own. Whoever reads what it writes calls `write_left` first."""
        self.buffers.later.setdefault(write, []).append(item)

    async def write_left(self, *only: Later) -> None:
        """Writes what was left for later; where some are named, what was left to these and not what they leave in their turn."""
        for named in only:
            if named in self.buffers.later:
                await named(self, self.buffers.later.pop(named))
        while self.buffers.later and not only:
            write = next(iter(self.buffers.later))
            await write(self, self.buffers.later.pop(write))

    async def flush(self) -> None:
        """Writes what is buffered. The owner of the transaction calls it right before the commit; nobody else needs to."""
        await self.write_left()
        await outbox.write(self.conn, self.service, self.buffers.events)
        await work.write(self.conn, self.service, self.buffers.work)
        self.buffers.events.clear()
        self.buffers.work.clear()
        tracing.written(self.buffers.spans)


#: One event, one handler.
Handler: TypeAlias = Callable[[Unit, E], Awaitable[None]]
#: A service's handlers by event model; each takes exactly the model it is registered under.
Handlers: TypeAlias = Mapping[type[Event], Callable[[Unit, Any], Awaitable[None]]]
#: All due items of one kind in a batch (at most 100); rows deleted in this transaction, their keys locked.
Fire: TypeAlias = Callable[[Unit, Sequence[WorkItem]], Awaitable[None]]
Fires: TypeAlias = Mapping[str, Fire]
#: Called with the name of each pass to wake once a transaction has committed.
Wake: TypeAlias = Callable[[str], None]


class Pass(Protocol):
    """Work that the runtime loops: until `next_due`, at most a second, or woken by its name."""

    name: str

    async def run(self, now: datetime) -> int:
        """Does a bounded amount of what is due at the clinical instant; how much was done, 0 when idle."""
        ...

    async def next_due(self) -> datetime | None:
        """The clinical instant of the next thing to do, or None."""
        ...

    def in_flight(self) -> int:
        """How much is begun and not finished."""
        ...


__all__ = ["Buffers", "Fire", "Fires", "Handler", "Handlers", "Later", "Pass", "Unit", "Wake", "WorkItem"]
