"""What a service itself has said, as its own topics hold it: the best memory that a restored database has.

The topics are read without a consumer group, from their start. What the outbox holds is known; the rest is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from sqlalchemy import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import typed_sql
from shared.events.base import Envelope, Event
from shared.events.registry import group_of, topics_heard_by
from shared.messaging.cluster import Cluster
from shared.messaging.confirm import topics_of
from shared.messaging.reading import Arrived, read

_POLL_MS = 500
_AT_A_TIME = 500
_IDS = ARRAY(PG_UUID(as_uuid=True))


@dataclass(frozen=True)
class Said:
    """One event of our own, from Kafka."""

    envelope: Envelope
    event: Event


async def forgotten(cluster: Cluster, bootstrap: str, service: str, engine: AsyncEngine) -> list[Said]:
    """Every event of our own topics that our outbox does not hold, in the order of their times (and so of each key)."""
    starts = dict.fromkeys(await cluster.all_partitions(topics_of(service)), 0)
    found: dict[UUID, Said] = {}
    async for arrived in _from(bootstrap, starts, await cluster.ends(topics_of(service))):
        for said in await _unknown(arrived, service, engine):
            found.setdefault(said.envelope.id, said)
    return sorted(found.values(), key=lambda said: said.envelope.time)


async def first_forgotten(
    cluster: Cluster, bootstrap: str, service: str, engine: AsyncEngine, lasts: Mapping[str, Mapping[str, int]]
) -> Said | None:
    """One event beyond what the relay remembers that our outbox does not hold: a database that was put back. Where a relay died
    between publishing and remembering, or was frozen and has published late, the outbox holds what lies there."""
    ends = await cluster.ends(topics_of(service))
    beyond = {at: lasts.get(at.topic, {}).get(str(at.partition), -1) + 1 for at in ends}
    wanted = {at: start for at, start in beyond.items() if start < ends[at]}
    if not wanted:
        return None
    async for arrived in _from(bootstrap, wanted, ends):
        unknown = await _unknown(arrived, service, engine)
        if unknown:
            return unknown[0]
    return None


async def _unknown(arrived: Sequence[Arrived], service: str, engine: AsyncEngine) -> list[Said]:
    said = [Said(one.envelope, one.event) for one in arrived if one.envelope is not None and one.event is not None]
    statement = typed_sql(
        service,
        "SELECT event_id FROM ~outbox WHERE event_id = ANY(:ids)",
        columns=(("event_id", PG_UUID(as_uuid=True)),),
        binds=(("ids", _IDS),),
    )
    async with engine.connect() as conn:
        known = set((await conn.execute(statement, {"ids": [one.envelope.id for one in said]})).scalars())
    return [one for one in said if one.envelope.id not in known]


async def _from(
    bootstrap: str, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[Arrived]]:
    """The records of these partitions from an offset (or the first that is left) up to their ends, in batches."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, client_id="steadypath.restore")
    await consumer.start()
    try:
        consumer.assign(list(starts))
        first = await consumer.beginning_offsets(list(starts))
        for at, start in starts.items():
            consumer.seek(at, max(start, first[at]))
        while any([await consumer.position(at) < ends[at] for at in starts]):
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_AT_A_TIME)
            records = [record for batch in batches.values() for record in batch]
            if records:
                yield [read(record) for record in records]
    finally:
        await consumer.stop()


async def hear_again(bootstrap: str, service: str, met: Mapping[TopicPartition, int]) -> bool:
    """Puts the service's consumer group to the start of everything that it hears: its inbox has forgotten what it had handled.

    As a member of the group, for only those may (librdkafka's mock cluster takes no offset from anybody else). False while
    another process of the service is a member too. `met`: repair numbers, as known."""
    consumer = AIOKafkaConsumer(
        *topics_heard_by(service),
        bootstrap_servers=bootstrap,
        group_id=group_of(service),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_500,
        client_id=f"steadypath.{service}.restore",
    )
    await consumer.start()  # returns once it has joined
    try:
        wanted = {
            TopicPartition(topic, n) for topic in topics_heard_by(service) for n in consumer.partitions_for_topic(topic) or ()
        }
        mine = consumer.assignment()
        if not mine or mine != wanted:
            return False
        first = await consumer.beginning_offsets(list(mine))
        await consumer.commit({at: OffsetAndMetadata(first[at], str(met.get(at, 0))) for at in mine})
    finally:
        await consumer.stop()
    return True
