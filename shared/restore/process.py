"""A service's way back after its database was restored, before it does anything else.

    own words read -> what they tell is learnt -> everything heard is heard again -> the service's own reconciliation
    -> its state is said again, above every version -> done

Every step may be done again: a process that dies on the way, a broker or a provider that is away begins the way anew. Nothing of
the service runs meanwhile: no request is taken, nothing fires, nothing is published, no text leaves. /readyz says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.errors import SteadypathError
from shared.events.base import Event, stable_id
from shared.events.registry import topics_heard_by
from shared.logs import log
from shared.messaging.cluster import Cluster
from shared.messaging.consumer import Consumer
from shared.messaging.counts import Counts
from shared.messaging.knobs import Knobs
from shared.messaging.locks import lock_number
from shared.messaging.memory import Offsets
from shared.messaging.unit import Handlers
from shared.ops import ops_say
from shared.restore import mode, own
from shared.restore.mode import Restored
from shared.restore.words import Words, remembering
from shared.startup import NotStarted
from shared.worker import handling_of

if TYPE_CHECKING:
    from shared.runtime import Runtime

AWAY = (KafkaError, OSError, TimeoutError)
_AGAIN_AFTER = 2.0
_LOOK_WITHIN = 10.0
_PROGRESS_WITHIN = 60.0
COMMAND = "python -m shared.restore begin"


class NotYet(SteadypathError):
    """Something that the way back needs is not to be had now: it begins anew in a moment. One word for the operator."""


class Recollection(Protocol):
    """What is a service's own on the way back (services/<name>/restore.py). Each may be called again after a failure."""

    @property
    def listens(self) -> Mapping[type[Event], Callable[[Event], None]]:
        """Told of each event of these types that is heard again."""
        ...

    def identity(self, event: Event) -> Hashable | None:
        """What makes two events the same statement, where their ids do not; None where every one is a fact of its own."""
        ...

    def highest_version(self, words: Words) -> int:
        """The highest version in the service's own words."""
        ...

    async def learn(self, words: Words, restored: Restored) -> None:
        """What the own words tell, before anything is heard again."""
        ...

    async def reconcile(self, words: Words, restored: Restored) -> None:
        """After everything has been heard again. Raises NotYet where somebody else must be asked and does not answer."""
        ...

    async def restate(self, words: Words, restored: Restored) -> Mapping[str, int]:
        """Says the whole state again, above every version. What was found, as counts."""
        ...


class WayBack:
    """One process on the way back; a second one of the same service waits until it has come through."""

    def __init__(self, runtime: Runtime, handlers: Handlers, recollection: Recollection, say: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._service = runtime.settings.service
        self._handlers = handlers
        self._recollection = recollection
        self._say = say

    async def run(self, stopping: asyncio.Event, *, works: bool) -> bool:
        """True once the database is no longer a restored one that has to be reconciled (`works`: by this process); False at the
        stop."""
        while not stopping.is_set() and await self._is_begun():
            try:
                if works and await self._alone():
                    continue
                self._waits_for("another process")
            except (*AWAY, SQLAlchemyError) as error:
                log.failure("restore goes on later", error, level="warning", service=self._service)
            except NotYet as missing:
                self._waits_for(str(missing))
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _AGAIN_AFTER)
        return not stopping.is_set()

    def _waits_for(self, what: str) -> None:
        self._say(f"restore: {what}")
        log.warning("restoring", service=self._service, reason=what.replace(" ", "-"))

    async def _is_begun(self) -> bool:
        async with self._runtime.engine.connect() as conn:
            known = await mode.read(conn, self._service)
        return known is not None and known.begun

    async def _alone(self) -> bool:
        """Goes the way while nobody else does; False where another process has begun."""
        number = lock_number(self._service, stable_id("restore"))
        async with self._runtime.reader.connect() as conn:
            if not (await conn.execute(text("SELECT pg_try_advisory_lock(:n)"), {"n": number})).scalar_one():
                return False
            try:
                await self._go()
            finally:
                await conn.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": number})
        return True

    async def _go(self) -> None:
        bootstrap = self._runtime.settings.current_kafka_bootstrap()
        self._waits_for("kafka")
        cluster = await _cluster(bootstrap, self._service)
        try:
            words = Words(
                await own.forgotten(cluster, bootstrap, self._service, self._runtime.engine), self._recollection.identity
            )
            restored = await self._taken_up(words)
            self._waits_for("own words")
            await self._recollection.learn(words, restored)
            self._waits_for("topics read again")
            await self._hear_again(cluster, bootstrap, words)
        finally:
            await cluster.stop()
        self._waits_for("reconciliation")
        await self._recollection.reconcile(words, restored)
        self._waits_for("state said again")
        found = {"own_words": len(words.all), **await self._recollection.restate(words, restored)}
        async with self._runtime.unit() as unit:
            await mode.finish(unit.conn, self._service, found)
            details = {name: count for name, count in found.items() if count}
            await ops_say(unit, "restored", details, dedup=f"restored/{restored.version_base}")
        log.warning("restored", service=self._service, count=len(words.all))

    async def _taken_up(self, words: Words) -> Restored:
        async with self._runtime.unit() as unit:
            lowest = self._recollection.highest_version(words) + 1
            return await mode.taken_up(unit.conn, self._service, unit.now, lowest)

    async def _hear_again(self, cluster: Cluster, bootstrap: str, words: Words) -> None:
        """From the first record to what was there when it began. The inbox makes a no-op of what is known."""
        heard = topics_heard_by(self._service)
        await cluster.ensure_topics(heard, Knobs().partitions)
        ends = await cluster.ends(heard)
        async with self._runtime.engine.connect() as conn:
            met = await _met(conn, self._service)
        if not await own.hear_again(bootstrap, self._service, met):
            raise NotYet("another process in the consumer group")
        handlers = remembering(self._handlers, words, self._recollection.listens)
        consumer = Consumer(
            handling_of(self._runtime, handlers, Counts()), bootstrap=self._runtime.settings.current_kafka_bootstrap
        )
        consumer.start()
        try:
            await _reach(consumer, {f"{at.topic}:{at.partition}": end - 1 for at, end in ends.items() if end > 0})
        finally:
            await consumer.stop()


async def _reach(consumer: Consumer, lasts: Mapping[str, int]) -> None:
    """Until all has been handled; NotYet where nothing has come further for a minute."""
    while True:
        before = consumer.positions()
        await consumer.reach(lasts, _PROGRESS_WITHIN)
        if all(consumer.positions().get(place, 0) > last for place, last in lasts.items()):
            return
        if consumer.positions() == before:
            raise NotYet("kafka")


async def _met(conn: AsyncConnection, service: str) -> dict[TopicPartition, int]:
    table = tables_of(service).reader_state
    rows = await conn.execute(select(table.c.topic, table.c.partition, table.c.repair))
    return {TopicPartition(row.topic, row.partition): row.repair for row in rows}


async def _cluster(bootstrap: str, service: str) -> Cluster:
    cluster = Cluster(bootstrap, client_id=f"steadypath.{service}.restore")
    try:
        async with asyncio.timeout(_LOOK_WITHIN):
            await cluster.start()
    except BaseException:
        await cluster.stop()
        raise
    return cluster


async def refuse_unnoticed(runtime: Runtime) -> None:
    """Raises NotStarted where the database has been put back and nobody has said so: going on would send again what was sent and
    say what readers drop as older. A broker that is away cannot be asked: then only the database itself is looked at."""
    service = runtime.settings.service
    async with runtime.engine.connect() as conn:
        if await mode.copied_elsewhere(conn, service):
            raise NotStarted(
                f"this database was restored from another server: run `{COMMAND} {service}` first (docs/operations/restore.md)"
            )
        lease = await _lease(conn, service)
    if lease is None or lease[0] is None:
        return  # it has never published anything
    bootstrap = runtime.settings.current_kafka_bootstrap()
    try:
        cluster = await _cluster(bootstrap, service)
    except AWAY as error:
        log.failure("whether the database was put back is not known", error, level="warning", service=service)
        return
    try:
        async with asyncio.timeout(_LOOK_WITHIN):
            if await cluster.incarnation() != lease[0]:
                return  # another broker holds nothing of ours
            found = await own.first_forgotten(cluster, bootstrap, service, runtime.engine, lease[1])
    except AWAY as error:
        log.failure("whether the database was put back is not known", error, level="warning", service=service)
        return
    finally:
        await cluster.stop()
    if found is not None:
        raise NotStarted(
            f"Kafka holds what {service} has said and this database does not: it was restored; "
            f"run `{COMMAND} {service}` first (docs/operations/restore.md)"
        )


async def _lease(conn: AsyncConnection, service: str) -> tuple[str | None, Offsets] | None:
    table = tables_of(service).relay_lease
    row = (await conn.execute(select(table.c.incarnation, table.c.lasts))).first()
    return None if row is None else (row.incarnation, row.lasts)


__all__: Sequence[str] = ("COMMAND", "NotYet", "Recollection", "WayBack", "refuse_unnoticed")
