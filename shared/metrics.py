"""The numbers that a service shows at /metrics. One registry per process; every name stands in the table of
docs/operations/metrics.md (a test compares). No label ever holds an id, a name or a number of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from shared import logs
from shared.messaging.counts import Counts

# A second series for each, saying when it was made, tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Seconds; due work is late by a tick, or by an outage.
_LATENESS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 14400)
_FAST = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """What every service counts. A service's own metrics join through `registry`, under the prefix `steadypath_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._traffic()
        self._state()
        self._edge()
        self.registry.register(_RefusedLogFields())

    def _traffic(self) -> None:
        """Events and due work."""
        self.due_lateness = self._histogram("due_lateness_seconds", "Clinical seconds from due to fired", ("kind",), _LATENESS)
        self.event_lag = self._histogram(
            "event_lag_seconds",
            "Clinical seconds from said to handled (plans.v1: the plan version's)",
            ("topic",),
            _LATENESS,
        )
        self.passes = self._counter("pass_runs", "Background passes by outcome", ("name", "outcome"))
        self.pass_seconds = self._histogram("pass_seconds", "Duration of a pass that did something", ("name",), _FAST)

    def _state(self) -> None:
        """What stands or waits right now."""
        self.outbox_unsent = self._gauge("outbox_unsent", "Events not yet published")
        self.outbox_age = self._gauge("outbox_oldest_unsent_seconds", "Age of the oldest event not yet published")
        self.due_waiting = self._gauge("due_oldest_waiting_seconds", "How late the oldest due work not fired is")
        self.parked_keys = self._gauge("parked_keys", "Keys that wait for a person's decision")
        self.parked_events = self._gauge("parked_events", "Events and due work that wait for a person's decision")
        self.consumer_position = self._gauge("consumer_next_offset", "Next offset after the last commit", ("topic", "partition"))
        self.consumer_lag = self._gauge("consumer_lag_records", "Records of our partitions not handled yet", ("topic",))
        self.consumer_lag_seconds = self._gauge("consumer_lag_seconds", "How long the oldest of them has been there", ("topic",))
        self.consumer_idle = self._gauge("consumer_stuck_seconds", "Seconds that records have waited without progress")
        self.disk_free = self._gauge("disk_free_ratio", "Free share of the file system that the process runs on")
        self.clock_skew = self._gauge("clock_skew_seconds", "Own clock minus PostgreSQL's (0 on simulated time)")
        self.ready = self._gauge("ready", "1 where the check passes", ("check",))
        self.ops_waiting = self._gauge("ops_notices_waiting", "Notices that the ops channel has not delivered")

    def _edge(self) -> None:
        self.requests = self._counter("http_requests", "Requests by route pattern", ("method", "route", "status"))
        self.request_seconds = self._histogram("http_request_seconds", "Duration of a request", ("method", "route"), _FAST)
        self.replayed = self._counter("idempotent_replays", "Commands answered from the stored answer")

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"steadypath_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"steadypath_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"steadypath_{name}", text, labels, buckets=buckets, registry=self.registry)

    @contextmanager
    def timed(self, histogram: Histogram) -> Iterator[None]:
        """Observes how long the block took, whichever way it ends."""
        started = perf_counter()
        try:
            yield
        finally:
            histogram.observe(perf_counter() - started)

    def exposition(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)


#: What messaging counts, by field of `Counts`: (metric, what it means).
COUNTED = {
    "handled": ("events_handled", "Events whose handler committed"),
    "repeats": ("inbox_duplicates", "Events met again and not applied again"),
    "without_handler": ("events_without_handler", "Events of a known type that this service has no use for"),
    "parked": ("events_parked", "Events put away for a person"),
    "parked_behind": ("events_parked_behind", "Events put away because their key waits"),
    "retried": ("events_retried", "Tries of an event after a transient failure"),
    "batches": ("batches", "Batches handled in one transaction"),
    "batches_failed": ("batches_failed", "Batches that were done again record by record"),
    "commits_failed": ("offset_commits_failed", "Offsets that Kafka did not take"),
    "read_again": ("partitions_read_again", "Partitions read from the start after a repair"),
    "published": ("events_published", "Events that the relay published"),
    "publish_failed": ("publish_failed", "Times the relay could not publish"),
    "repairs": ("relay_repairs", "Repairs of a broker that forgot"),
    "lease_lost": ("relay_lease_lost", "Times another relay took over"),
    "fired": ("due_fired", "Due work fired"),
    "fires_failed": ("due_batches_failed", "Batches of due work that were done again one by one"),
    "fires_parked": ("due_parked", "Due work put away for a person"),
}


class MessagingCounts(Collector):
    """Shows the counts of messaging; they only rise."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        for field, (name, text) in COUNTED.items():
            yield CounterMetricFamily(f"steadypath_{name}", text, value=getattr(self._counts, field))


class _RefusedLogFields(Collector):
    """What the log's allow-list refused: should stay 0; anything else is a line to correct."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("steadypath_log_fields_refused", "Log fields that the allow-list dropped", labels=("key",))
        for key, count in logs.refused.items():
            family.add_metric((key,), count)
        yield family
