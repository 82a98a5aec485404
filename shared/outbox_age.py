"""How long what a service has to say has been waiting to reach Kafka: what readiness and the ops channel both ask."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.messaging.memory import Memory


@dataclass(frozen=True)
class Unsent:
    """`oldest`: when the oldest of them was said (clinical, aware UTC), None where nothing waits. `age`: seconds since then."""

    count: int
    oldest: datetime | None
    age: float


async def unsent(conn: AsyncConnection, memory: Memory, service: str, now: datetime) -> Unsent:
    """What waits now."""
    count = await memory.unsent(conn)
    if not count:
        return Unsent(0, None, 0.0)
    outbox = tables_of(service).outbox
    # The unsent ones are the last `count` that were said.
    last = select(outbox.c.created_at).order_by(outbox.c.seq.desc()).limit(count).subquery()
    oldest: datetime | None = (await conn.execute(select(func.min(last.c.created_at)))).scalar_one()
    return Unsent(count, oldest, 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0))
