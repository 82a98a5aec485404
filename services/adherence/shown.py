"""What adherence shows of its alerts at /readyz and in the metrics: how many wait for a person and for how long, never whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from prometheus_client import Gauge
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.adherence.storage.tables import alerts, follow_ups
from shared.events.adherence import Severity
from shared.health import Check, OwnCheck
from shared.runtime import Runtime

# By the partial indexes on what is open; written out, or a generic plan would not find them.
_OPEN = (
    select(
        alerts.c.severity,
        func.count().label("waiting"),
        func.min(alerts.c.raised_at).label("oldest"),
        func.count().filter(alerts.c.no_text_possible).label("by_phone"),
    )
    .where(text("state = 'open'"))
    .group_by(alerts.c.severity)
)
_UNRECORDED = select(func.count()).select_from(follow_ups).where(text("state = 'unrecorded'"))


def checks(runtime: Runtime) -> Sequence[OwnCheck]:
    """One: `alerts`, always passed. An alert that nobody acknowledges is the clinic's, not the process's."""
    registry = runtime.metrics.registry
    waiting = Gauge("steadypath_alerts_open", "Alerts that nobody has acknowledged", ("severity",), registry=registry)
    age = Gauge("steadypath_alert_oldest_open_seconds", "Age of the oldest of them", ("severity",), registry=registry)
    by_phone = Gauge("steadypath_alerts_without_text", "Open alerts whose patient no text can reach", registry=registry)
    unrecorded = Gauge("steadypath_follow_ups_unrecorded", "Follow-ups whose outcome nobody has recorded", registry=registry)

    async def look(conn: AsyncConnection) -> Check:
        rows = {row.severity: row for row in await conn.execute(_OPEN)}
        now = runtime.clock.now()
        ages = {severity: max((now - row.oldest).total_seconds(), 0.0) for severity, row in rows.items()}
        for severity in get_args(Severity):
            waiting.labels(severity).set(rows[severity].waiting if severity in rows else 0)
            age.labels(severity).set(ages.get(severity, 0.0))
        by_phone.set(sum(row.by_phone for row in rows.values()))
        unrecorded.set((await conn.execute(_UNRECORDED)).scalar_one())
        detail = {"open": sum(row.waiting for row in rows.values()), "oldest_seconds": round(max(ages.values(), default=0.0))}
        return Check("alerts", passed=True, detail={**detail})

    return (look,)
