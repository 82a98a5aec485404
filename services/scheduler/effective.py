"""Whether a version has reached the notifier: its consumer group has committed past the event (DESIGN.md rule 2).

Asks the relay's memory: the chunk that held the event, the offsets it went to, and how far Kafka said the group is. A chunk is
coarser than an event, so the answer may be late by a chunk and is never early.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import BigInteger, Text, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.events.base import TOPIC_PLANS
from shared.events.registry import NOTIFIER, group_of

#: Who must have heard of a version before it holds at the last gate.
GROUP = group_of(NOTIFIER)
_TABLES = tables_of("scheduler")


@dataclass(frozen=True)
class Reach:
    """How far an event has come."""

    published: bool
    confirmed: bool


async def reach(conn: AsyncConnection, event_id: UUID) -> Reach:
    """Of an event of plans.v1 that was said. One that is no longer in the outbox was confirmed by every group long ago."""
    outbox = _TABLES.outbox.c
    said = select(cast(cast(outbox.txid, Text), BigInteger), outbox.seq).where(outbox.event_id == event_id)
    row = (await conn.execute(said)).first()
    if row is None:
        return Reach(published=True, confirmed=True)
    batch = _TABLES.relay_batch.c
    holds = (batch.window_lo <= row[0]) & (batch.window_hi > row[0]) & (batch.last_seq >= row[1])
    newest = (
        select(batch.offsets, batch.repair, batch.confirmed).where(holds).order_by(batch.repair.desc(), batch.last_seq).limit(1)
    )
    chunk = (await conn.execute(newest)).first()
    if chunk is None:
        return Reach(published=False, confirmed=False)
    if chunk.confirmed:
        return Reach(published=True, confirmed=True)
    group = _TABLES.group_confirmed.c
    mine = (group.consumer_group == GROUP) & (group.topic == TOPIC_PLANS) & (group.repair >= chunk.repair)
    rows = (await conn.execute(select(group.partition, group.next_offset).where(mine))).all()
    at = {str(partition): offset for partition, offset in rows}
    spans = chunk.offsets.get(TOPIC_PLANS, {})
    return Reach(published=True, confirmed=all(at.get(partition, 0) > last for partition, (_first, last) in spans.items()))
