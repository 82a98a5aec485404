"""Whether this process may be given work, and why not. /livez: it runs; /readyz: it can do its part of the loop.

Nothing here names a person. Figures are machine time, except the outbox's age, which is 0 on simulated time: there a jump of the
clock is no outage.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from sqlalchemy import func, literal, select, text, union
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import machine_now
from shared.db import metadata_for, tables_of
from shared.defaults import default
from shared.house_tables import house_tables
from shared.logs import describe
from shared.messaging.knobs import Knobs
from shared.messaging.lag import Behind
from shared.messaging.memory import Memory
from shared.outbox_age import unsent

if TYPE_CHECKING:
    from shared.loops import Loops
    from shared.runtime import Runtime

Detail = dict[str, str | int | float | bool | list[str]]
#: A database that does not answer so fast (machine seconds) is not there.
_PATIENCE = 3.0


class Consumer(Protocol):
    """What health and the snapshot ask of the Kafka side of a process."""

    def connected(self) -> bool: ...

    def assigned(self) -> int: ...

    def in_flight(self) -> int: ...

    def stuck_for(self) -> float: ...

    def positions(self) -> dict[str, int]: ...

    def behind(self) -> Mapping[str, Behind]: ...

    async def reach(self, published: Mapping[str, int], within: float) -> None: ...

    def rest(self, resting: bool) -> None: ...


@dataclass(frozen=True)
class Check:
    """One thing that must be so. `detail` holds numbers and fixed words only."""

    name: str
    passed: bool
    detail: Detail = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, object]:
        return {"ready": self.ready, "checks": {check.name: {"ok": check.passed, **check.detail} for check in self.checks}}


#: A check of one service's own, on the same connection as the others.
OwnCheck = Callable[[AsyncConnection], Awaitable[Check]]


class Health:
    """Asks, at the moment of the question, everything that the process depends on."""

    def __init__(self, runtime: Runtime, loops: Loops, consumer: Consumer | None, own: Sequence[OwnCheck] = ()) -> None:
        self._own = own
        self._runtime = runtime
        self._loops = loops
        self._consumer = consumer
        self._memory = Memory(runtime.engine, runtime.settings.service, uuid4(), Knobs())
        self._service = runtime.settings.service
        #: What the start waits for; None once it has come through, "stopping" at the end.
        self.starting: str | None = "database"
        #: Set by the watchdog: the process is about to be given up.
        self.given_up: str | None = None

    @property
    def serving(self) -> bool:
        """Whether requests are taken. Not before the schema has been found to be the one this release was written for."""
        return self.starting is None

    async def report(self) -> Report:
        checks = [self._start(), self._watchdog(), self._passes(), self._disk()]
        if self._consumer is not None:
            checks += [self._broker(self._consumer), self._behind(self._consumer)]
        try:
            async with asyncio.timeout(_PATIENCE), self._runtime.engine.connect() as conn:
                checks += await self._database(conn)
        except Exception as error:  # whatever it is, the answer is the same: it cannot be used now
            checks.append(Check("database", passed=False, detail=dict(describe(error))))
        for check in checks:
            self._runtime.metrics.ready.labels(check.name).set(check.passed)
        return Report(tuple(checks))

    def _start(self) -> Check:
        return Check("start", self.starting is None, {"waiting_for": self.starting} if self.starting else {})

    def _watchdog(self) -> Check:
        return Check("watchdog", self.given_up is None, {"stuck": self.given_up} if self.given_up else {})

    def _passes(self) -> Check:
        stuck, failing = self._loops.stuck(), self._loops.failing()
        return Check("passes", not stuck and not failing, {"stuck": stuck, "failing": failing} if stuck or failing else {})

    def _broker(self, consumer: Consumer) -> Check:
        metrics = self._runtime.metrics
        metrics.consumer_idle.set(consumer.stuck_for())
        for place, offset in consumer.positions().items():
            topic, _, partition = place.rpartition(":")
            metrics.consumer_position.labels(topic, partition).set(offset)
        assigned = consumer.assigned()
        detail: Detail = {"connected": consumer.connected(), "partitions": assigned}
        return Check("broker", consumer.connected() and assigned > 0, detail)

    def _behind(self, consumer: Consumer) -> Check:
        """Facts that are not heard for minutes are an outage, though each is handled in the end."""
        metrics, topics = self._runtime.metrics, consumer.behind()
        for gauge in (metrics.consumer_lag, metrics.consumer_lag_seconds):
            gauge.clear()  # a topic that another replica reads now is no longer ours to be late with
        for topic, behind in topics.items():
            metrics.consumer_lag.labels(topic).set(behind.records)
            metrics.consumer_lag_seconds.labels(topic).set(behind.seconds)
        longest = max((behind.seconds for behind in topics.values()), default=0.0)
        limit: timedelta = default("shared", "consumer_lag_unready")
        records = sum(behind.records for behind in topics.values())
        return Check("lag", longest <= limit.total_seconds(), {"records": records, "seconds": round(longest, 1)})

    def _disk(self) -> Check:
        """Of the file system that we run on: on one machine the database's and the broker's as well. On a large one a twentieth
        is plenty, so the check wants both to be little; the metric shows the share alone."""
        disk = shutil.disk_usage(Path.cwd())
        share = disk.free / disk.total
        self._runtime.metrics.disk_free.set(share)
        return Check("disk", not little_disk(share, disk.free), {"free_share": round(share, 3)})

    async def _due(self, conn: AsyncConnection) -> Check:
        """How late the latest due work is right now: the histogram learns of it only once it has been fired."""
        of = tables_of(self._service).due_work.c
        waiting = text("state = 'waiting'")  # written out: a bind parameter would keep a generic plan from the index
        oldest: datetime | None = (await conn.execute(select(func.min(of.due_at)).where(waiting))).scalar_one()
        late = 0.0
        if oldest is not None and not self._runtime.settings.simulated:
            late = max((self._runtime.clock.now() - oldest).total_seconds(), 0.0)
        self._runtime.metrics.due_waiting.set(late)
        return Check("due", passed=True, detail={"oldest_seconds": round(late, 1)})

    async def _database(self, conn: AsyncConnection) -> list[Check]:
        checks = [Check("database", passed=True), await self._clock(conn)]
        if self.serving:
            checks += [await each(conn) for each in (self._outbox, self._due, self._parked, self._ops)]
            checks += [await own(conn) for own in self._own]
        return checks

    async def _clock(self, conn: AsyncConnection) -> Check:
        """DESIGN.md rule 7. Compared with the middle of the question, so that a slow answer is no skew."""
        if self._runtime.settings.simulated:
            return Check("clock", passed=True, detail={"simulated": True})
        asked = machine_now()
        theirs: datetime = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
        ours = asked + (machine_now() - asked) / 2
        skew = (ours - theirs).total_seconds()
        self._runtime.metrics.clock_skew.set(skew)
        return Check("clock", within_skew(skew), {"skew_seconds": round(skew, 3)})

    async def _outbox(self, conn: AsyncConnection) -> Check:
        """Facts that nobody hears are an outage, however well everything else is."""
        found = await unsent(conn, self._memory, self._service, self._runtime.clock.now())
        age = 0.0 if self._runtime.settings.simulated else found.age
        metrics = self._runtime.metrics
        metrics.outbox_unsent.set(found.count)
        metrics.outbox_age.set(age)
        limit: timedelta = default("shared", "outbox_age_unready")
        return Check("outbox", age <= limit.total_seconds(), {"unsent": found.count, "oldest_seconds": round(age, 1)})

    async def _parked(self, conn: AsyncConnection) -> Check:
        tables = tables_of(self._service)
        parked, due = tables.parked, tables.due_work
        waiting = parked.c.state.in_(("parked", "behind"))
        keys = union(select(parked.c.key).where(waiting), select(due.c.key).where(due.c.state == "parked")).subquery()
        events = select(func.count()).select_from(parked).where(waiting).scalar_subquery()
        work = select(func.count()).select_from(due).where(due.c.state == "parked").scalar_subquery()
        row = (await conn.execute(select(func.count(), (events + work)).select_from(keys))).one()
        metrics = self._runtime.metrics
        metrics.parked_keys.set(row[0])
        metrics.parked_events.set(row[1])
        return Check("parked", row[0] <= default("shared", "parked_keys_unready"), {"keys": row[0], "events": row[1]})

    async def _ops(self, conn: AsyncConnection) -> Check:
        """Shown, never a reason to be unready: a webhook that is down must not stop the texts."""
        notice = house_tables(metadata_for(self._service)).ops_notice
        of = {
            state: func.count().filter(notice.c.state == literal(state)).label(name)
            for state, name in (("waiting", "waiting"), ("given-up", "given_up"))
        }
        row = (await conn.execute(select(*of.values()))).one()
        self._runtime.metrics.ops_waiting.set(row.waiting)
        settings = self._runtime.settings
        ways = [name for name, there in (("webhook", settings.ops_webhook_url), ("smtp", settings.ops_mail)) if there]
        return Check("ops", passed=True, detail={"channels": ways or ["log"], "waiting": row.waiting, "given_up": row.given_up})


def little_disk(share: float, free_bytes: int) -> bool:
    """Whether so little is left that a database or a broker on this disk is about to stop."""
    least: float = default("shared", "disk_share_unready")
    enough: int = default("shared", "disk_bytes_enough")
    return share < least and free_bytes < enough


def within_skew(seconds: float) -> bool:
    limit: timedelta = default("shared", "clock_skew_limit")
    return abs(seconds) <= limit.total_seconds()
