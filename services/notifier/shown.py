"""What the notifier shows of its texts and of the provider's channel, at /readyz and in the metrics: counts, never who."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import said
from services.notifier.storage.tables import attempt, channel_incident, message
from shared.health import Check, OwnCheck
from shared.runtime import Runtime

#: Why the channel may be down, as `channel.failed` is told.
REASONS = ("account-refused", "unreachable")
# Each is served by a partial index, whose rows are few however many texts there have been. Written out: a bind parameter would
# keep a generic plan from it.
_QUEUED = text("state = 'queued'")
_CHANNEL = select(channel_incident.c.reason, channel_incident.c.error_code).where(channel_incident.c.cleared_at.is_(None))
_WAITING = select(func.count()).select_from(message).where(_QUEUED)
_NEXT = select(func.min(message.c.not_before)).where(_QUEUED)
_IN_DOUBT = select(func.count()).where(attempt.c.look_at.is_not(None), text("outcome = 'unconfirmed'"))


class _Fates(Collector):
    """What became of texts since this process started; it only rises."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("steadypath_texts", "What became of texts", labels=("fate", "why"))
        for (fate, why), count in said.counted.items():
            family.add_metric((fate, why), count)
        yield family


class _Numbers:
    """The gauges of one process."""

    def __init__(self, runtime: Runtime) -> None:
        registry = runtime.metrics.registry
        registry.register(_Fates())
        self.channel = Gauge("steadypath_channel_down", "1 where the provider's channel is down", ("reason",), registry=registry)
        self.queued = Gauge("steadypath_texts_queued", "Texts that have not left", registry=registry)
        self.late = Gauge("steadypath_texts_oldest_due_seconds", "How long the oldest text has been due", registry=registry)
        self.in_doubt = Gauge("steadypath_texts_unconfirmed", "Texts whose fate is being looked for", registry=registry)


def checks(runtime: Runtime) -> Sequence[OwnCheck]:
    """`channel`, which fails where the provider refuses the account, and `texts` (decision 0181)."""
    numbers = _Numbers(runtime)

    async def channel(conn: AsyncConnection) -> Check:
        row = (await conn.execute(_CHANNEL)).one_or_none()
        for reason in REASONS:
            numbers.channel.labels(reason).set(row is not None and row.reason == reason)
        if row is None:
            return Check("channel", passed=True)
        return Check("channel", passed=row.reason != "account-refused", detail={"down": row.reason, "code": row.error_code or 0})

    async def texts(conn: AsyncConnection) -> Check:
        waiting, first, in_doubt = [(await conn.execute(each)).scalar_one() for each in (_WAITING, _NEXT, _IN_DOUBT)]
        late = max((runtime.clock.now() - first).total_seconds(), 0.0) if first is not None else 0.0
        numbers.queued.set(waiting)
        numbers.late.set(late)
        numbers.in_doubt.set(in_doubt)
        return Check("texts", passed=True, detail={"queued": waiting, "oldest_due_seconds": round(late), "unconfirmed": in_doubt})

    return (channel, texts)
