"""The relay: publishes what transactions said, in order, and remembers by the chunk where it went. One leads per service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID, uuid4

from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from faststream.kafka import KafkaBroker
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import tracing
from shared.logs import log
from shared.messaging import codec, confirm, repair
from shared.messaging.broker import publishing_broker
from shared.messaging.cluster import Cluster
from shared.messaging.counts import Counts
from shared.messaging.knobs import Knobs
from shared.messaging.memory import Chunk, Lease, LeaseLost, Memory, OutRow, Position, Spans

#: What a broker that is away looks like.
AWAY = (KafkaError, OSError, TimeoutError)
_CHUNKS_A_RUN = 20


class Relay:
    """The pass named "relay". `run` publishes at most a few chunks; it never raises for a broker that is away."""

    name = "relay"

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        service: str,
        bootstrap: Callable[[], str],
        knobs: Knobs | None = None,
        counts: Counts | None = None,
        holder: UUID | None = None,
    ) -> None:
        self.counts = counts or Counts()
        self._engine = engine
        self._service = service
        self._bootstrap = bootstrap
        self._knobs = knobs or Knobs()
        self.memory = Memory(engine, service, holder or uuid4(), self._knobs)
        self._topics = confirm.topics_of(service)
        self._lease: Lease | None = None
        self._broker: KafkaBroker | None = None
        self._cluster: Cluster | None = None
        self._address = ""
        self._in_flight = 0
        self._last: dict[str, float] = {}
        self.away = False

    async def run(self, now: datetime) -> int:
        """Publishes what waits; how many records. 0 as well where another leads or the broker is away (`away` says so)."""
        try:
            return await self._lead(now)
        except LeaseLost:
            self.counts.lease_lost += 1
            self._lease = None
            log.warning("relay lost its lease", service=self._service)
        except AWAY as error:
            await self._broker_away(error)
        return 0

    async def next_due(self) -> datetime | None:
        """Nothing in the outbox has a clinical due time: it is woken, or looks once a second."""
        return None

    def in_flight(self) -> int:
        return self._in_flight

    def leads(self) -> bool:
        return self._lease is not None

    async def stop(self) -> None:
        """Closes the connections and lets another lead at once."""
        await self._disconnect()
        lease, self._lease = self._lease, None
        if lease is not None:
            with suppress(SQLAlchemyError, OSError):  # without the database it runs out by itself
                await self.memory.give_up_lease(lease.epoch)

    async def _lead(self, now: datetime) -> int:
        if self._lease is None:
            self._lease = await self.memory.take_lease()
            self._last.clear()
            if self._lease is None:
                return 0
        await self._connect()
        if self._is_time("check broker", self._knobs.check_broker_every):
            await self._look_at_broker()
        published = await self._publish_chunks(now)
        await self._keep_house()
        return published

    async def _publish_chunks(self, now: datetime) -> int:
        published = 0
        for _ in range(_CHUNKS_A_RUN):
            rows, more = await self._publish_chunk()
            published += rows
            if not more:
                if self._held().repair_from is not None:
                    await self._close_repair(now)
                break
        return published

    async def _publish_chunk(self) -> tuple[int, bool]:
        """Publishes one chunk and remembers it; how many records, and whether there may be more."""
        step = await self.memory.next_chunk(self._held().epoch)
        self._lease, rows, position = step.lease, step.rows, step.position
        if not rows and position.hi is None:
            return 0, False
        with tracing.published(rows):
            spans = await self._publish([self._wire(row, step.lease.repair) for row in rows])
        complete = len(rows) < self._knobs.chunk
        last_seq = rows[-1].seq if rows else position.last_seq
        await self._remember(Chunk(position, step.hi, last_seq, complete, len(rows), spans), step.lease)
        # A window that was one chunk: whatever has been said since then has woken us, and the next run looks.
        return len(rows), not complete or position.hi is not None or self._held().repair_from is not None

    async def _remember(self, chunk: Chunk, lease: Lease) -> None:
        """Writes the memory of a chunk, unless the broker turns out to have forgotten: then a repair begins instead."""
        if not repair.went_back(lease.lasts, chunk.spans):
            self._lease = await self.memory.remember(lease, chunk)
            self.counts.published += chunk.rows
            return
        async with self._engine.begin() as conn:
            lease = await self.memory.hold(conn, lease.epoch)
            self._lease = await repair.begin(conn, self._service, lease, lease.incarnation or "")
        self._repairing("offset-given-twice")

    def _wire(self, row: OutRow, number: int) -> tuple[str, int | None, bytes | None, bytes, dict[str, str]]:
        return row.topic, None, str(row.key).encode(), row.body, codec.wire_headers(row.headers, number)

    async def _publish(self, records: Sequence[tuple[str, int | None, bytes | None, bytes, dict[str, str]]]) -> Spans:
        """Sends all, in order, and waits for every acknowledgement; the first and last offset by topic and partition."""
        if not records or self._broker is None:
            return {}
        self._in_flight = len(records)
        try:
            async with asyncio.timeout(self._knobs.publish_timeout):
                sent = [
                    await self._broker.publish(
                        body,
                        topic=topic,
                        partition=partition,
                        key=key,
                        headers=headers,
                        correlation_id=headers["ce_correlationid"],
                        no_confirm=True,
                    )
                    for topic, partition, key, body, headers in records
                ]
                acknowledged = await asyncio.gather(*sent)
        finally:
            self._in_flight = 0
        return _spans(acknowledged)

    async def _close_repair(self, now: datetime) -> None:
        """One marker in every partition, remembered like a chunk, so that groups must confirm it too."""
        lease = self._held()
        if self._cluster is None:
            return
        headers = codec.marker_headers(self._service, lease.repair, now)
        spans = await self._publish(
            [(at.topic, at.partition, None, b"", headers) for at in await self._cluster.all_partitions(self._topics)]
        )
        async with self._engine.begin() as conn:
            lease = await self.memory.hold(conn, lease.epoch)
            at = (await self.memory.position(conn, lease)).lo
            # Its window is the one just finished: publishing goes on where it would have gone on.
            marker = Chunk(Position(at - 1, None, 0), hi=at, last_seq=0, complete=True, rows=0, spans=spans)
            self._lease = await repair.finish(conn, self._service, await self.memory.remember(lease, marker, conn))
        log.warning("relay repaired the broker", service=self._service, repair=lease.repair)

    async def _look_at_broker(self) -> None:
        """Starts a repair where the broker is not the one that we published to."""
        if self._cluster is None:
            return
        incarnation = await self._cluster.incarnation()
        ends = await self._cluster.ends(self._topics)
        async with self._engine.begin() as conn:
            lease = await self.memory.hold(conn, self._held().epoch)
            if lease.incarnation is None:
                self._lease = await repair.adopt(conn, self._service, lease, incarnation)
            elif repair.forgot(lease, incarnation, ends):
                self._lease = await repair.begin(conn, self._service, lease, incarnation)
                self._repairing("broker-forgot")

    def _repairing(self, why: str) -> None:
        self.counts.repairs += 1
        log.warning("relay begins a repair", service=self._service, reason=why, repair=self._held().repair)

    async def _keep_house(self) -> None:
        if self._cluster is not None and self._is_time("confirm", self._knobs.confirm_every):
            await self.confirm()
        if self._is_time("prune", self._knobs.prune_every):
            async with self._engine.begin() as conn:
                await confirm.prune(conn, self._service, self._knobs)

    async def confirm(self) -> None:
        """Reads how far the consumer groups are and keeps it, where anything is still open."""
        async with self._engine.connect() as conn:
            wanted = await confirm.any_unconfirmed(conn, self._service)
        if wanted and self._cluster is not None:
            progress = await confirm.ask(self._cluster, self._service)
            async with self._engine.begin() as conn:
                await self.memory.hold(conn, self._held().epoch)
                await confirm.store(conn, self._service, progress)

    def _held(self) -> Lease:
        if self._lease is None:
            raise LeaseLost("this relay does not lead")
        return self._lease

    def _is_time(self, what: str, every: float) -> bool:
        moment = time.monotonic()
        if moment - self._last.get(what, -every) < every:
            return False
        self._last[what] = moment
        return True

    async def _connect(self) -> None:
        """Connects where that is needed: at first, after a failure, and where the broker has a new address."""
        address = self._bootstrap()
        if self._broker is not None and address == self._address:
            return
        await self._disconnect()
        cluster = Cluster(address, client_id=f"steadypath.{self._service}.admin")
        self._cluster, self._address = cluster, address
        async with asyncio.timeout(self._knobs.publish_timeout):
            await cluster.start()
            await cluster.ensure_topics(self._topics, self._knobs.partitions)
            broker = publishing_broker(address, self._service, self._knobs)
            await broker.start()
        self._broker = broker
        self._last.pop("check broker", None)
        self.away = False

    async def _disconnect(self) -> None:
        broker, self._broker = self._broker, None
        cluster, self._cluster = self._cluster, None
        if broker is not None:
            with suppress(*AWAY):  # what it still held is not remembered, so it goes out again
                await asyncio.wait_for(broker.stop(), self._knobs.graceful)
        if cluster is not None:
            await cluster.stop()

    async def _broker_away(self, error: BaseException) -> None:
        """An idempotent producer that failed has lost its sequence: it is made anew before anything else is sent."""
        self.counts.publish_failed += 1
        if not self.away:
            log.failure("relay cannot publish", error, level="warning", service=self._service)
        self.away = True
        await self._disconnect()


def _spans(acknowledged: Sequence[RecordMetadata]) -> Spans:
    spans: Spans = {}
    for at in acknowledged:
        partitions = spans.setdefault(at.topic, {})
        first, last = partitions.get(str(at.partition), (at.offset, at.offset))
        partitions[str(at.partition)] = [min(first, at.offset), max(last, at.offset)]
    return spans
