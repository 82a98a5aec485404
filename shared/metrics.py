"""The numbers that a service shows at /metrics. One registry per process; every name stands in the table of
docs/architecture/observability.md (a test compares). No label ever holds an id, a name or a number of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from shared import logs

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
        self.events_published = self._counter("events_published", "Events that the relay published", ("topic",))
        self.events_handled = self._counter("events_handled", "Events by how they ended", ("topic", "outcome"))
        self.inbox_duplicates = self._counter("inbox_duplicates", "Events met again and not applied again", ("topic",))
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
        self.due_now = self._gauge("due_now", "Due work that is due and not fired")
        self.parked_keys = self._gauge("parked_keys", "Keys that wait for a person's decision")
        self.parked_events = self._gauge("parked_events", "Events and due work that wait for a person's decision")
        self.consumer_position = self._gauge("consumer_next_offset", "Next offset after the last commit", ("topic", "partition"))
        self.consumer_idle = self._gauge("consumer_stuck_seconds", "Seconds that records have waited without progress")
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


class _RefusedLogFields(Collector):
    """What the log's allow-list refused: should stay 0; anything else is a line to correct."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("steadypath_log_fields_refused", "Log fields that the allow-list dropped", labels=("key",))
        for key, count in logs.refused.items():
            family.add_metric((key,), count)
        yield family
