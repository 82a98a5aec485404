"""Events on their way out: written in the transaction that causes them, sent by the relay afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.events.base import Event
from shared.events.registry import TOPICS
from shared.messaging import codec


@dataclass(frozen=True)
class OutboxRow:
    """One event as it will stand in the outbox."""

    event_id: UUID
    topic: str
    key: UUID
    type: str
    headers: dict[str, str]
    body: bytes
    created_at: datetime


def row_of(
    event: Event,
    *,
    event_id: UUID,
    service: str,
    now: datetime,
    correlation_id: UUID,
    causation_id: UUID | None,
    traceparent: str | None,
) -> OutboxRow:
    """The row of an event. Raises ValueError where the service is not the one that may say it."""
    if TOPICS[event.topic].said_by != service:
        raise ValueError(f"{event.full_type} is not {service}'s to say")
    headers = codec.headers_of(
        event,
        event_id=event_id,
        service=service,
        now=now,
        correlation_id=correlation_id,
        causation_id=causation_id,
        traceparent=traceparent,
    )
    return OutboxRow(event_id, event.topic, event.key, event.full_type, headers, codec.body_of(event), now)


async def write(conn: AsyncConnection, service: str, rows: Sequence[OutboxRow]) -> None:
    """Inserts the rows in the order in which they were said; an id that is already there changes nothing."""
    if not rows:
        return
    await conn.execute(_insert(service), [vars(row) for row in rows])


@cache
def _insert(service: str) -> Insert:
    # inline: without it a single row would be asked for its seq, which nobody here needs
    return insert(tables_of(service).outbox).on_conflict_do_nothing(index_elements=["event_id"]).inline()
