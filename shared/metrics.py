"""The numbers that a service shows at /metrics. One registry per process; names are listed in
docs/architecture/observability.md. No label ever holds an id, a name or a number of a person."""

from __future__ import annotations

from prometheus_client import CollectorRegistry


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
