"""Records as Kafka hands them over, and what the delivery made of them: what its tests share."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from aiokafka import ConsumerRecord

from shared.events.base import Event
from shared.messaging import codec
from shared.messaging.cluster import Cluster
from shared.messaging.reading import Arrived, read
from tests.integration.messaging.bench import NOON, Bench


def headers(event: Event, *, event_type: str | None = None, **more: bytes | None) -> list[tuple[str, bytes | None]]:
    """Whole and right headers, but for what the test puts in their place."""
    made = codec.headers_of(
        event, event_id=uuid4(), service="scheduler", now=NOON, correlation_id=uuid4(), causation_id=None, traceparent=None
    )
    made["ce_type"] = event_type or made["ce_type"]
    return [*((name, value.encode()) for name, value in made.items() if name not in more), *more.items()]


def record(event: Event, **more: Any) -> dict[str, Any]:
    return {"key": str(event.key).encode(), "value": codec.body_of(event), "headers": headers(event), **more}


def arrived(event: Event) -> Arrived:
    """A record as it comes from the reading."""
    raw = tuple(headers(event))
    return read(ConsumerRecord("due.v1", 0, 0, 0, 0, str(event.key).encode(), codec.body_of(event), None, 0, 0, raw))


async def parked(bench: Bench) -> list[tuple[str, str | None]]:
    """State and error of what is parked, in order."""
    return [(row[0], row[1]) for row in await bench.query("SELECT state, error FROM ~parked ORDER BY seq")]


async def committed(bench: Bench, topic: str = "due.v1") -> int:
    cluster = Cluster(bench.bootstrap, client_id="test")
    await cluster.start()
    told = await cluster.confirmed("steadypath.notifier", [topic])
    await cluster.stop()
    return sum(said.next_offset for said in told.values())
