"""The messaging side of a process, assembled: relay, ticker, consumer, and what every handler and fire gets around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared import tracing
from shared.due import Ticker
from shared.events.base import Event
from shared.logs import bound, log
from shared.messaging.consumer import Consumer
from shared.messaging.counts import Counts
from shared.messaging.handling import Handling
from shared.messaging.knobs import Knobs
from shared.messaging.relay import Relay
from shared.messaging.unit import Fire, Fires, Handlers, Pass, Unit
from shared.messaging.work import WorkItem
from shared.metrics import MessagingCounts, Metrics

if TYPE_CHECKING:
    from shared.runtime import Runtime

HandlerOf = Callable[[Unit, Any], Awaitable[None]]


def handling_of(runtime: Runtime, handlers: Handlers, counts: Counts) -> Handling:
    """How this process handles an event, whether it comes from Kafka or from the parked desk."""
    return Handling(
        service=runtime.settings.service,
        engine=runtime.engine,
        clock=runtime.clock,
        cipher=runtime.cipher,
        handlers={model: watched_handler(handler, runtime.metrics) for model, handler in handlers.items()},
        counts=counts,
        wake=runtime.wake,
    )


class Worker:
    """Role worker (or both): everything that runs without being asked."""

    def __init__(self, runtime: Runtime, handling: Handling, fires: Fires) -> None:
        settings, counts = runtime.settings, handling.counts
        knobs = Knobs(fetch_wait_ms=settings.kafka_fetch_wait)
        self._relay = Relay(
            engine=runtime.engine,
            service=settings.service,
            bootstrap=settings.current_kafka_bootstrap,
            knobs=knobs,
            counts=counts,
        )
        ticker = Ticker(
            engine=runtime.engine,
            service=settings.service,
            cipher=runtime.cipher,
            fires={kind: watched_fire(kind, fire, runtime.metrics) for kind, fire in fires.items()},
            wake=runtime.wake,
            counts=counts,
        )
        self.passes: Sequence[Pass] = (ticker, self._relay)
        self.consumer = Consumer(handling, bootstrap=settings.current_kafka_bootstrap, knobs=knobs)
        runtime.metrics.registry.register(MessagingCounts(counts))

    def alarm(self) -> str | None:
        """What only a person can mend, though nothing stands still by itself: too many records in a row failed."""
        return "flood" if self.consumer.delivery.flooded is not None else None

    async def run(self, stopping: asyncio.Event) -> None:
        """Consumes until `stopping`; the batch under way is finished."""
        self.consumer.start()
        try:
            await stopping.wait()
        finally:
            await self.consumer.stop()

    async def close(self) -> None:
        """Lets another relay lead at once. After the passes have ended."""
        await self._relay.stop()


def watched_handler(handler: HandlerOf, metrics: Metrics) -> HandlerOf:
    """The handler with its event's lag measured and its correlation id in every line of the log that it writes."""

    async def watched(unit: Unit, event: Event) -> None:
        if unit.cause is not None:
            metrics.event_lag.labels(event.topic).observe(max((unit.now - unit.cause.time).total_seconds(), 0.0))
        with bound(event_type=event.full_type, **_ids(unit)):
            await handler(unit, event)
            log.debug("event handled", topic=event.topic)

    return watched


def _ids(unit: Unit) -> dict[str, UUID]:
    """What a line of the log says of the event being handled."""
    ids = {"correlation_id": unit.correlation_id}
    if unit.cause is not None:
        ids["event_id"] = unit.cause.id
        if unit.cause.causation_id is not None:
            ids["causation_id"] = unit.cause.causation_id
    return ids


def watched_fire(kind: str, fire: Fire, metrics: Metrics) -> Fire:
    """The fire with the lateness of its items measured."""

    async def watched(unit: Unit, items: Sequence[WorkItem]) -> None:
        for item in items:
            metrics.due_lateness.labels(kind).observe(max((unit.now - item.due_at).total_seconds(), 0.0))
        with tracing.fire(kind, unit.correlation_id, len(items)):
            await fire(unit, items)

    return watched
