"""Kafka to effect. Every failure ends as exactly one of: waited for, tried again after a pause, or parked. Nothing lost, nothing
spun, nothing swallowed.

A batch of records is one transaction; where it fails it is rolled back and done record by record. Offsets are committed after the
database has, explicitly, and only of the records done: FastStream's own `ack` commits the position of every partition.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from shared.errors import SteadypathError
from shared.logs import log
from shared.messaging import codec
from shared.messaging.broker import Record, Records
from shared.messaging.failures import Policy, class_of, policy_of
from shared.messaging.handling import Handling
from shared.messaging.knobs import Knobs
from shared.messaging.reading import Arrived, read
from shared.messaging.rereading import Met


class Waiting(SteadypathError):
    """The database cannot be reached, or we are stopping: what is not done yet is read again later."""


class Flood(SteadypathError):
    """So many records in a row could not be handled that the fault is ours: consuming stops until a person has looked."""


class Delivery:
    """Handles the batches of one consumer at a time. `consumer` gives today's, None while there is none."""

    def __init__(self, handling: Handling, knobs: Knobs, consumer: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._handling = handling
        self._counts = handling.counts
        self._knobs = knobs
        self._consumer = consumer
        self.met = Met(handling.engine, handling.service)
        #: The next offset to read by partition, as far as this process has committed.
        self.positions: dict[TopicPartition, int] = {}
        #: Partitions changed hands: where the group stands on them is not known yet.
        self.handed_out = True
        self._parked_in_a_row: dict[TopicPartition, int] = defaultdict(int)
        self.stopping = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()
        self.flooded: TopicPartition | None = None
        self.waiting = False
        self.busy = 0
        self.progress_at = monotonic()
        #: Set whenever the positions have moved.
        self.moved = asyncio.Event()

    async def deliver(self, records: Records) -> None:
        """What FastStream calls with every batch. Raises nothing: it would swallow an exception, and the records with it."""
        if self.flooded is not None or self.stopping.is_set():
            self._rewind(records)
            await self._pause(self._knobs.wait_pause)
            return
        self.idle.clear()
        self.busy = len(records)
        try:
            await self._deliver(records)
            self.waiting = False
        except Waiting:
            await self._pause(self._knobs.wait_pause)
        except Flood as flood:
            log.failure("consuming stopped, too many records in a row failed", flood, service=self._handling.service)
        except Exception as error:  # a bug of the delivery itself: the records are read again, and it is said
            log.failure("delivery failed", error, service=self._handling.service)
            self._rewind(records)
            await self._pause(self._knobs.wait_pause)
        finally:
            self.busy = 0
            self.idle.set()

    async def _deliver(self, records: Records) -> None:
        try:
            current = await self._without_reread(records)
        except Exception as error:
            self._rewind(records)
            raise self._to_wait_for(error) from None
        arrived = [read(record) for record in current]
        done = 0
        try:
            async for settled in self._settle(arrived):
                done = settled
        finally:
            self._rewind(current[done:])
            await self._commit(current[:done])

    async def _without_reread(self, records: Records) -> Sequence[Record]:
        """The records of the partitions that go on; those that met a new repair are read again from their start."""
        newest: dict[TopicPartition, int] = {}
        for record in records:
            at = TopicPartition(record.topic, record.partition)
            newest[at] = max(newest.get(at, 0), codec.repair_of(record.headers))
        again = {at: number for at, number in newest.items() if number > await self.met.number(at)}
        consumer = self._consumer()
        for at, number in again.items():
            if consumer is None or at not in consumer.assignment():
                continue
            self.positions[at] = await self.met.go_back(consumer, at, number)
            self._counts.read_again += 1
            log.warning("reading a partition again", topic=at.topic, partition=at.partition, repair=number)
        return [record for record in records if TopicPartition(record.topic, record.partition) not in again]

    async def _settle(self, arrived: Sequence[Arrived]) -> AsyncIterator[int]:
        """Yields how many of the records, from the first, have had their effect or are parked."""
        if await self._whole(arrived):
            yield len(arrived)
            return
        for done, each in enumerate(arrived, 1):
            await self._one(each)
            yield done

    async def _whole(self, arrived: Sequence[Arrived]) -> bool:
        if any(each.failure is not None for each in arrived):
            return False
        try:
            new = await self._handling.as_batch(arrived)
        except Exception as error:
            if policy_of(error) is Policy.WAIT:
                raise self._to_wait_for(error) from None
            self._counts.batches_failed += 1
            log.failure("batch failed, going record by record", error, level="warning", rows=len(arrived))
            return False
        self._counts.batches += 1
        self._progressed(arrived, new=new)
        return True

    async def _one(self, arrived: Arrived) -> None:
        if arrived.failure is not None:
            await self._park(arrived, arrived.failure, attempts=1)
            return
        for attempt, pause in enumerate((*self._knobs.retry_pauses, None), 1):
            try:
                new = await self._handling.as_batch([arrived])
            except Exception as error:
                await self._after(error, arrived, attempt, pause)
                if policy_of(error) is Policy.PARK or pause is None:
                    return
            else:
                self._progressed([arrived], new=new)
                return

    async def _after(self, error: Exception, arrived: Arrived, attempt: int, pause: float | None) -> None:
        """What follows a failed try of one record: waiting, a pause, or its parking."""
        policy = policy_of(error)
        if policy is Policy.WAIT:
            raise self._to_wait_for(error) from None
        if policy is Policy.RETRY and pause is not None:
            self._counts.retried += 1
            await self._pause(pause)
            if self.stopping.is_set():
                raise Waiting("stopping") from None
        else:
            log.failure("record parked", error, event_id=arrived.event_id, attempts=attempt, topic=arrived.record.topic)
            await self._park(arrived, class_of(error), attempt)

    async def _park(self, arrived: Arrived, error: str, attempts: int) -> None:
        if self._parked_in_a_row[arrived.at] >= self._knobs.flood:
            self.flooded = arrived.at
            raise Flood("too many records in a row could not be handled")
        try:
            parked = await self._handling.park(arrived, error=error, attempts=attempts)
        except Exception as failure:  # whatever keeps us from parking, the record stays in Kafka until we can
            raise self._to_wait_for(failure) from None
        self._parked_in_a_row[arrived.at] += parked
        self.progress_at = monotonic()

    def _progressed(self, arrived: Sequence[Arrived], *, new: bool) -> None:
        """What comes again is progress once it is committed: a consumer that cannot commit goes back and meets it for ever."""
        if new:
            self.progress_at = monotonic()
        for each in arrived:
            self._parked_in_a_row.pop(each.at, None)

    def _to_wait_for(self, error: BaseException) -> Waiting:
        if not self.waiting:
            log.failure("consuming waits", error, level="warning", service=self._handling.service)
        self.waiting = True
        return Waiting("not now")

    async def _commit(self, records: Sequence[Record]) -> None:
        """Tells Kafka that exactly these are done, with the repair number under which we read them."""
        consumer = self._consumer()
        ends: dict[TopicPartition, int] = {}
        for record in records:
            ends[TopicPartition(record.topic, record.partition)] = record.offset + 1
        mine = consumer.assignment() if consumer is not None else set()
        offsets = {at: OffsetAndMetadata(end, str(await self.met.number(at))) for at, end in ends.items() if at in mine}
        if consumer is None or not offsets:
            return
        try:
            await consumer.commit(offsets)
        except KafkaError as error:  # another reader will be given them again: the inbox makes that a no-op
            self._counts.commits_failed += 1
            log.failure("offsets not committed", error, level="warning", service=self._handling.service)
            return
        self.positions.update({at: said.offset for at, said in offsets.items()})
        self.progress_at = monotonic()
        self.moved.set()

    def _rewind(self, records: Sequence[Record]) -> None:
        """Makes the consumer give out these again."""
        consumer = self._consumer()
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for at, offset in first.items():
            if consumer is not None and at in consumer.assignment():
                consumer.seek(at, offset)

    async def _pause(self, seconds: float) -> None:
        """Machine time; cut short when stopping."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return
