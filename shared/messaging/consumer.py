"""Keeps one consumer connected: to the broker of today, with its watchdog. What health and simulation ask of Kafka is here.

A broker that went away, or came back under another address, gets a wholly new consumer: aiokafka does not recover from every
outage of a whole cluster (its issue 703), and shows none of it (1154).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.events.registry import group_of, topics_heard_by
from shared.logs import log
from shared.messaging.broker import Records, consuming_broker
from shared.messaging.cluster import Cluster
from shared.messaging.delivery import Delivery
from shared.messaging.handling import Handling
from shared.messaging.knobs import Knobs
from shared.messaging.lag import Behind, Lag

AWAY = (KafkaError, OSError, TimeoutError)
_LOOK_EVERY = 0.5
_CONNECT_TIMEOUT = 30.0
_HAND_OVER = 5.0


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Before partitions are given away, the batch under way ends: what is done is committed by the one who did it."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with suppress(TimeoutError):  # a batch that takes longer is met again by its next reader, and its inbox
            await asyncio.wait_for(self._delivery.idle.wait(), _HAND_OVER)
        for at in revoked:
            self._delivery.positions.pop(at, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        for at in assigned:
            self._delivery.positions.pop(at, None)
        self._delivery.handed_out = True
        self._delivery.met.forget()
        self._delivery.progress_at = monotonic()


class Consumer:
    """The Kafka side of a worker. `start` returns at once; `connected` and `assigned` say how far it has come."""

    def __init__(self, handling: Handling, *, bootstrap: Callable[[], str], knobs: Knobs | None = None) -> None:
        self._service = handling.service
        self._topics = topics_heard_by(handling.service)
        self._bootstrap = bootstrap
        self._knobs = knobs or Knobs()
        self._handling = handling
        self.delivery = Delivery(handling, self._knobs, self._kafka)
        self._listener = _Listener(self.delivery)
        self._broker: KafkaBroker | None = None
        self._subscriber: BatchSubscriber | None = None
        self._cluster: Cluster | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._waiting_since: float | None = None
        self._lag = Lag()
        #: At rest Kafka is asked only for what `reach` was told of.
        self._resting = False
        #: What it was told of and is still to come: partition -> the last offset that is known to be there.
        self._awaited: Mapping[TopicPartition, int] = {}

    def start(self) -> None:
        """Begins to connect, and goes on until `stop`."""
        self._keeper = asyncio.create_task(self._keep(), name="kafka consumer")

    async def stop(self) -> None:
        """Lets the batch under way end, commits what is done, leaves the group."""
        self.delivery.stopping.set()
        if self._keeper is not None:
            await self._keeper

    def connected(self) -> bool:
        return self._subscriber is not None and self.delivery.flooded is None

    def assigned(self) -> int:
        consumer = self._kafka()
        return len(consumer.assignment()) if consumer is not None else 0

    def in_flight(self) -> int:
        return self.delivery.busy

    def handled(self) -> int:
        """Rises with every record that may have changed something here, for the simulation's snapshot."""
        counts = self._handling.counts
        return counts.handled + counts.repeats + counts.parked + counts.parked_behind

    def positions(self) -> dict[str, int]:
        """ "topic:partition" -> the next offset, as committed."""
        return {f"{at.topic}:{at.partition}": offset for at, offset in sorted(self.delivery.positions.items())}

    async def reach(self, published: Mapping[str, int], within: float) -> None:
        """Returns once all these records ("topic:partition" -> last offset) of topics heard here have been handled and
        committed, or after so many machine seconds."""
        wanted = {_place(name): last for name, last in published.items()}
        wanted = {at: last for at, last in wanted.items() if at.topic in self._topics}
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while missing := {at: last for at, last in wanted.items() if self.delivery.positions.get(at, 0) <= last}:
                    self._ask(missing)
                    self.delivery.moved.clear()
                    await self.delivery.moved.wait()

    def rest(self, resting: bool) -> None:
        """Simulated time only. While we rest, Kafka is asked for nothing but what `reach` is told of: looking for what cannot be
        there every few milliseconds would cost a tenth of a core."""
        self._resting, self._awaited = resting, {}
        consumer = self._kafka()
        if consumer is not None:
            _pause(consumer) if resting else consumer.resume(*consumer.paused())

    def _ask(self, missing: Mapping[TopicPartition, int]) -> None:
        """For these alone: a request names every partition, and most have nothing."""
        consumer = self._kafka()
        if self._resting and consumer is not None:
            self._awaited = missing
            consumer.resume(*(consumer.paused() & missing.keys()))

    def _whole(self, records: Records) -> bool:
        """Whether these are all that is waited for; true where nobody has told us of anything."""
        last = {TopicPartition(record.topic, record.partition): record.offset for record in records}
        return all(last.get(at, -1) >= told for at, told in self._awaited.items())

    async def _deliver(self, records: Records) -> None:
        consumer = self._kafka()
        if self._resting and consumer is not None:
            self._awaited = {}
            _pause(consumer)
        await self.delivery.deliver(records)

    def behind(self) -> Mapping[str, Behind]:
        """By topic, how far our partitions are behind Kafka's ends as of the last look."""
        return self._lag.by_topic(self.delivery.positions)

    def stuck_for(self) -> float:
        """Machine seconds that records have waited without one being settled, beyond what may be; 0 while all is well.

        A database or a broker that is away is not the consumer's fault: it is unready then, and not given up.
        """
        if self._waiting_since is None or self.delivery.waiting or self.delivery.flooded is not None:
            return 0.0
        idle = monotonic() - max(self._waiting_since, self.delivery.progress_at)
        return idle if idle > self._knobs.stuck_after else 0.0

    def _kafka(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer if self._subscriber is not None else None

    async def _keep(self) -> None:
        while not self.delivery.stopping.is_set():
            try:
                address = self._bootstrap()
                await self._connect(address)
                await self._until_changed(address)
            except AWAY as error:
                log.failure("broker away", error, level="warning", service=self._service)
            finally:
                await self._disconnect()
            await self._pause(self._knobs.wait_pause)

    async def _connect(self, address: str) -> None:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            self._cluster = Cluster(address, client_id=f"steadypath.{self._service}.watch")
            await self._cluster.start()
            await self._cluster.ensure_topics(self._topics, self._knobs.partitions)
            self.delivery.met.forget()
            self.delivery.positions.clear()
            self._broker, self._subscriber = consuming_broker(
                address, self._service, self._knobs, self._deliver, self._listener, whole=self._whole
            )
            await self._broker.start()
        log.info("consuming", service=self._service, group=group_of(self._service))

    async def _until_changed(self, address: str) -> None:
        """Looks after the consumer until we stop, the broker has another address, or a flood of failures ended consuming."""
        looked = monotonic()
        while not self.delivery.stopping.is_set() and self._bootstrap() == address:
            if self.delivery.flooded is not None and self._broker is not None:
                await self._stop_broker()
            if self.delivery.handed_out:
                await self._know_positions()
            if monotonic() - looked >= min(5.0, self._knobs.stuck_after / 3):
                await self._look_for_waiting()
                looked = monotonic()
            await self._pause(_LOOK_EVERY)

    async def _know_positions(self) -> None:
        """Where the group stood when partitions were handed out, so that the positions are whole before the first commit."""
        if self._cluster is not None:
            self.delivery.handed_out = False
            known = await self._cluster.confirmed(group_of(self._service), self._topics)
            for at, said in known.items():
                self.delivery.positions.setdefault(at, said.next_offset)

    async def _look_for_waiting(self) -> None:
        """Whether records wait for this consumer, as Kafka itself says: the consumer's own view may be what is stuck."""
        if self._cluster is None:
            return
        ends = await self._cluster.ends(self._topics)
        consumer = self._kafka()
        mine = consumer.assignment() if consumer is not None else set()
        self._lag.look(ends, self.delivery.positions, mine)
        # Without an assignment every record waits: a consumer that never joins again is stuck as well.
        watched = mine or set(ends)
        waits = any(end > self.delivery.positions.get(at, 0) for at, end in ends.items() if at in watched)
        if not waits:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = monotonic()

    async def _stop_broker(self) -> None:
        broker, self._broker, self._subscriber = self._broker, None, None
        if broker is not None:
            with suppress(*AWAY):  # what was under way is not committed and comes again
                await asyncio.wait_for(broker.stop(), self._knobs.graceful + 2)

    async def _disconnect(self) -> None:
        # The subscriber stays known until its batch has ended, so that what is done can be committed.
        broker = self._broker
        if broker is not None:
            with suppress(*AWAY):  # as above
                await asyncio.wait_for(broker.stop(), self._knobs.graceful + 2)
        self._broker = self._subscriber = None
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.stop()
        # Whether records wait at a broker that is away, nobody knows: with the next connection it is asked anew.
        self._waiting_since = None

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.delivery.stopping.wait(), seconds)


def _place(name: str) -> TopicPartition:
    topic, _, partition = name.rpartition(":")
    return TopicPartition(topic, int(partition))


def _pause(consumer: AIOKafkaConsumer) -> None:
    consumer.pause(*(consumer.assignment() - consumer.paused()))
