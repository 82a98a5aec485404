"""A reader's side of a repair: which repair number it has met on each partition, kept in PostgreSQL.

A record that bears a higher one means that the log below may hold what was lost: the partition is read again from its start, and
the inbox makes what is known a no-op. The position goes back in Kafka first, then the number is stored, so that a crash in
between only makes it happen twice.
"""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import tables_of


class Met:
    """The highest repair number met by partition. `forget` when partitions change hands: others may know more."""

    def __init__(self, engine: AsyncEngine, service: str) -> None:
        self._engine = engine
        self._table = tables_of(service).reader_state
        self._met: dict[TopicPartition, int] | None = None

    def forget(self) -> None:
        """Partitions changed hands."""
        self._met = None

    async def number(self, at: TopicPartition) -> int:
        if self._met is None:
            async with self._engine.connect() as conn:
                rows = await conn.execute(select(self._table.c.topic, self._table.c.partition, self._table.c.repair))
                self._met = {TopicPartition(row.topic, row.partition): row.repair for row in rows}
        return self._met.get(at, 0)

    async def go_back(self, consumer: AIOKafkaConsumer, at: TopicPartition, number: int) -> int:
        """Puts the reader at the partition's start for this repair; the offset it will read next."""
        start = int((await consumer.beginning_offsets([at]))[at])
        await consumer.commit({at: OffsetAndMetadata(start, str(number))})
        async with self._engine.begin() as conn:
            statement = insert(self._table).values(topic=at.topic, partition=at.partition, repair=number)
            await conn.execute(
                statement.on_conflict_do_update(
                    index_elements=["topic", "partition"],
                    set_={"repair": number},
                    where=self._table.c.repair < number,
                )
            )
        consumer.seek(at, start)
        if self._met is not None:
            self._met[at] = number
        return start
