"""What a person can do with what is parked: look, try again in order, or let go, with name and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiokafka import ConsumerRecord
from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.errors import DomainError
from shared.messaging.codec import Unreadable
from shared.messaging.counts import Counts
from shared.messaging.failures import Policy, class_of, policy_of
from shared.messaging.handling import Handling
from shared.messaging.locks import lock_keys
from shared.messaging.parking import OPEN, raw_headers
from shared.messaging.reading import Arrived, read
from shared.messaging.unit import Buffers


@dataclass(frozen=True)
class ParkedEvent:
    """One line of the desk. No body, no header: `error` is a class. `parked_at` is clinical, aware UTC."""

    event_id: UUID
    clinic_id: UUID | None
    key: UUID
    type: str | None
    topic: str
    partition: int
    offset: int
    state: str
    error: str | None
    attempts: int
    parked_at: datetime


class Desk:
    """The parked events of one service."""

    def __init__(self, handling: Handling) -> None:
        self._handling = handling
        self._parked = tables_of(handling.service).parked

    async def open(self, clinic_id: UUID | None = None, limit: int = 200) -> list[ParkedEvent]:
        """What waits, oldest first; of one clinic (and what no clinic could be read from), or of all."""
        of = self._parked.c
        query = select(self._parked).where(of.state.in_(OPEN)).order_by(of.seq).limit(limit)
        if clinic_id is not None:
            query = query.where((of.clinic_id == clinic_id) | of.clinic_id.is_(None))
        async with self._handling.engine.connect() as conn:
            return [_shown(row) for row in await conn.execute(query)]

    async def one(self, event_id: UUID, clinic_id: UUID | None = None) -> ParkedEvent:
        """One that is open. Raises as `replay`."""
        return _shown(await self._find(event_id, clinic_id))

    async def key_of(self, event_id: UUID, clinic_id: UUID | None = None) -> UUID:
        """The key that it parks. Raises as `replay`."""
        return (await self.one(event_id, clinic_id)).key

    async def head_of(self, key: UUID) -> UUID | None:
        """The event of this key that has to be decided on next; None where none is open."""
        async with self._handling.engine.connect() as conn:
            row = (await conn.execute(self._first_open(key))).first()
        return None if row is None else row.event_id

    async def count_of(self, key: UUID) -> int:
        """How many events of this key are open."""
        of = self._parked.c
        query = select(func.count()).select_from(self._parked).where(of.key == key, of.state.in_(OPEN))
        async with self._handling.engine.connect() as conn:
            return int((await conn.execute(query)).scalar_one())

    async def replay(self, event_id: UUID, *, author: str, reason: str, clinic_id: UUID | None = None) -> int:
        """Handles the head of its key again, then those behind it in order, each in its own transaction; how many succeeded.

        Stops at the first that fails: that one is then the head. Raises DomainError (404 unknown, or another clinic's than the
        one given; 409 not the head or not open any more). `author` is a key's label, `reason` is sealed.
        """
        row = await self._head(event_id, clinic_id)
        return await self._run_from(row.key, author, reason)

    async def discard(self, event_id: UUID, *, author: str, reason: str, clinic_id: UUID | None = None) -> int:
        """Lets an event go for good, then handles those behind it; how many of these succeeded. Raises as `replay`."""
        row = await self._find(event_id, clinic_id)
        async with self._handling.engine.begin() as conn:
            await lock_keys(conn, self._handling.service, [row.key])
            await self._resolve(conn, event_id, "discarded", author, reason)
        if row.state == "behind":
            return 0
        return await self._run_from(row.key, author, reason)

    async def _find(self, event_id: UUID, clinic_id: UUID | None) -> Row[tuple[object, ...]]:
        async with self._handling.engine.connect() as conn:
            row = (await conn.execute(select(self._parked).where(self._parked.c.event_id == event_id))).first()
        if row is None or (clinic_id is not None and row.clinic_id not in (None, clinic_id)):
            raise DomainError("event_id", "nothing is parked under this id", status=404)
        if row.state not in OPEN:
            raise DomainError("event_id", "it has been replayed or discarded already", status=409)
        return row

    async def _head(self, event_id: UUID, clinic_id: UUID | None) -> Row[tuple[object, ...]]:
        row = await self._find(event_id, clinic_id)
        if row.state != "parked":
            raise DomainError("event_id", "it waits behind another event of its key: replay or discard that one", status=409)
        return row

    def _first_open(self, key: UUID) -> Select[tuple[object, ...]]:
        of = self._parked.c
        return select(self._parked).where(of.key == key, of.state.in_(OPEN)).order_by(of.seq).limit(1)

    async def _run_from(self, key: UUID, author: str, reason: str) -> int:
        succeeded = 0
        while await self._next(key, author, reason):
            succeeded += 1
        return succeeded

    async def _next(self, key: UUID, author: str, reason: str) -> bool:
        """Handles the key's first open event; False where there is none or it failed (and is the head now)."""
        buffers, seen = Buffers(), Counts()
        handling = self._handling
        event_id: UUID | None = None
        try:
            async with handling.engine.begin() as conn:
                await lock_keys(conn, handling.service, [key])
                row = (await conn.execute(self._first_open(key))).first()
                if row is None:
                    return False
                event_id = row.event_id
                await self._again(conn, read(_record(row)), buffers, seen)
                await self._resolve(conn, row.event_id, "replayed", author, reason)
                await handling.unit(conn, buffers).flush()
        except Exception as error:
            if event_id is None or policy_of(error) is Policy.WAIT:
                raise
            await self._failed(event_id, key, class_of(error))
            return False
        handling.counts.handled += seen.handled
        buffers.committed(handling.wake)
        return True

    async def _again(self, conn: AsyncConnection, arrived: Arrived, buffers: Buffers, seen: Counts) -> None:
        if arrived.envelope is None or arrived.event is None:
            raise Unreadable("still not an event that this release can read")
        await self._handling.call(conn, arrived.envelope, arrived.event, buffers, seen)

    async def _failed(self, event_id: UUID, key: UUID, error: str) -> None:
        async with self._handling.engine.begin() as conn:
            await lock_keys(conn, self._handling.service, [key])
            of = self._parked.c
            await conn.execute(
                update(self._parked)
                .where(of.event_id == event_id, of.state.in_(OPEN))
                .values(state="parked", error=error, attempts=of.attempts + 1)
            )

    async def _resolve(self, conn: AsyncConnection, event_id: UUID, state: str, author: str, reason: str) -> None:
        of = self._parked.c
        sealed = self._handling.cipher.seal(reason, table="parked", column="reason", row=event_id)
        done = await conn.execute(
            update(self._parked)
            .where(of.event_id == event_id, of.state.in_(OPEN))
            .values(state=state, resolved_at=self._handling.clock.now(), resolved_by=author, reason=sealed)
        )
        if not done.rowcount:
            raise DomainError("event_id", "it has been replayed or discarded already", status=409)


def _record(row: Row[tuple[object, ...]]) -> ConsumerRecord[bytes, bytes]:
    """The record as it came from Kafka."""
    headers = raw_headers(row.headers)
    return ConsumerRecord(
        topic=row.topic,
        partition=row.partition,
        offset=row.record_offset,
        timestamp=0,
        timestamp_type=0,
        key=row.raw_key,
        value=row.body,
        checksum=None,
        serialized_key_size=len(row.raw_key or b""),
        serialized_value_size=len(row.body or b""),
        headers=tuple(headers),
    )


def _shown(row: Row[tuple[object, ...]]) -> ParkedEvent:
    return ParkedEvent(
        event_id=row.event_id,
        clinic_id=row.clinic_id,
        key=row.key,
        type=row.type,
        topic=row.topic,
        partition=row.partition,
        offset=row.record_offset,
        state=row.state,
        error=row.error,
        attempts=row.attempts,
        parked_at=row.parked_at,
    )
