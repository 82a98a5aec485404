"""The ops channel: says what a person must repair, by a way that does not depend on Twilio.

A notice is a row, written in the transaction of what it reports. The pass "ops" delivers it: to STEADYPATH_OPS_WEBHOOK_URL where
set (JSON POST, at least once, bounded retries), else as an error in the log. Either way /readyz counts what waits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import aiohttp
from sqlalchemy import RowMapping, String, cast, exists, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import insert

from shared.db import metadata_for, tables_of
from shared.defaults import default
from shared.events.base import stable_id
from shared.house_tables import house_tables
from shared.http.commands import forget_old
from shared.logs import log
from shared.messaging.work import KEY_PARKED

if TYPE_CHECKING:
    from shared.messaging.unit import Unit
    from shared.runtime import Runtime

_BATCH = 20
_FORGET_EVERY = 600.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,80}")
_TIMEOUT = aiohttp.ClientTimeout(total=8, connect=3)
#: The webhook's answer is awaited under a lease of so long; a process that dies in between leaves it to the next.
_LEASE = timedelta(seconds=30)


async def ops_say(
    unit: Unit,
    kind: str,
    details: Mapping[str, str | int] | None = None,
    *,
    dedup: str | None = None,
    clinic_id: UUID | None = None,
) -> None:
    """Writes a notice in this transaction and wakes the pass "ops". `kind` is a slug; `details` hold slugs, counts and our own
    ids only, never a name or a number. The same (kind, dedup) is said once, however often it is written."""
    table = house_tables(metadata_for(unit.service)).ops_notice
    key = dedup or str(uuid4())
    statement = insert(table).values(
        notice_id=stable_id(unit.service, "ops", kind, key),
        clinic_id=clinic_id,
        kind=kind,
        dedup=key,
        details=dict(details or {}),
        at=unit.now,
        next_at=unit.now,
    )
    await unit.conn.execute(statement.on_conflict_do_nothing())
    unit.after_commit("ops")


class OpsPass:
    """Finds keys that were parked, and delivers notices. `tells_clinic`: the service has a fire for KEY_PARKED."""

    name = "ops"

    def __init__(self, runtime: Runtime, *, tells_clinic: bool = False) -> None:
        self._runtime = runtime
        self._tells_clinic = tells_clinic
        self._service = runtime.settings.service
        self._notice = house_tables(metadata_for(self._service)).ops_notice
        self._url = runtime.settings.ops_webhook_url
        self._sending = 0
        self._forgot_at = float("-inf")

    def in_flight(self) -> int:
        return self._sending

    async def run(self, now: datetime) -> int:
        await self._forget(now)
        found = await self._report_parked()
        notices = await self._claim(now)
        self._sending = len(notices)
        try:
            for notice in notices:
                await self._settle(notice, delivered=await self._deliver(notice))
                self._sending -= 1
        finally:
            self._sending = 0
        return found + len(notices)

    async def next_due(self) -> datetime | None:
        """The clinical instant of the next attempt."""
        statement = select(func.min(self._notice.c.next_at)).where(self._notice.c.state == "waiting")
        async with self._runtime.reader.connect() as conn:
            due: datetime | None = (await conn.execute(statement)).scalar_one()
        return due

    async def _forget(self, now: datetime) -> None:
        """Drops idempotency keys that no client repeats any more; looked at now and then, by the machine's time."""
        if monotonic() - self._forgot_at < _FORGET_EVERY:
            return
        async with self._runtime.engine.begin() as conn:
            await forget_old(conn, self._service, now)
        self._forgot_at = monotonic()

    async def _report_parked(self) -> int:
        """A notice for every parked event or due work that has none: whoever parked it need not think of it."""
        async with self._runtime.reader.connect() as conn:
            unsaid = (await conn.execute(self._unsaid())).all()
        if not unsaid:
            return 0
        async with self._runtime.unit() as unit:
            await unit.lock(*{row.key for row in unsaid})
            for row in unsaid:
                details = {"what": row.what, "type": _plain(row.type), "error": _plain(row.error)}
                await ops_say(unit, "key-parked", details, dedup=row.ref)
                # A record that nobody could read names no clinic; a telling that failed is not told of by another.
                if self._tells_clinic and row.clinic_id is not None and row.type != KEY_PARKED:
                    at = unit.now + default("shared", "ops_clinic_within") / 2
                    await unit.plan_work(KEY_PARKED, row.ref, at, key=row.key, clinic_id=row.clinic_id)
        return len(unsaid)

    def _unsaid(self) -> Any:
        tables = tables_of(self._service)
        parked, due = tables.parked, tables.due_work
        # Parked, replayed and parked again is a new thing to say: so the moment is part of what makes a notice the same.
        event_ref = cast(parked.c.event_id, String) + "@" + cast(parked.c.parked_at, String)
        work_ref = due.c.kind + "/" + due.c.ref + "@" + cast(due.c.due_at, String)
        event_columns = (parked.c.type, parked.c.error, parked.c.key, parked.c.clinic_id)
        events = select(event_ref.label("ref"), literal("event").label("what"), *event_columns)
        work_columns = (due.c.kind, due.c.error, due.c.key, due.c.clinic_id)
        work = select(work_ref.label("ref"), literal("due-work").label("what"), *work_columns)
        both = union_all(events.where(parked.c.state == "parked"), work.where(due.c.state == "parked")).subquery()
        said = exists().where(self._notice.c.kind == "key-parked", self._notice.c.dedup == both.c.ref)
        return select(both).where(~said).limit(_BATCH)

    async def _claim(self, now: datetime) -> Sequence[RowMapping]:
        """Takes what is due under a lease and counts the attempt before it is made."""
        table = self._notice
        due = (
            select(table.c.notice_id)
            .where(table.c.state == "waiting", table.c.next_at <= now)
            .order_by(table.c.next_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(table)
            .where(table.c.notice_id.in_(due.scalar_subquery()))
            .values(attempts=table.c.attempts + 1, next_at=now + _LEASE)
            .returning(table)
        )
        async with self._runtime.engine.begin() as conn:
            rows: Sequence[RowMapping] = (await conn.execute(claimed)).mappings().all()
        return rows

    async def _deliver(self, notice: RowMapping) -> bool:
        log.error("ops notice", kind=notice["kind"], notice_id=notice["notice_id"], attempt=notice["attempts"])
        if self._url is None:
            return True
        body = {
            "service": self._service,
            "kind": notice["kind"],
            "notice_id": str(notice["notice_id"]),
            "at": notice["at"].isoformat(),
            "details": notice["details"],
        }
        try:
            async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.post(self._url, json=body) as answer:
                delivered = answer.status < 300
                if not delivered:
                    log.warning("ops webhook refused", status=answer.status, attempt=notice["attempts"])
                return delivered
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            log.failure("ops webhook unreachable", error, level="warning", attempt=notice["attempts"])
            return False

    async def _settle(self, notice: RowMapping, *, delivered: bool) -> None:
        """Doubling pauses between attempts; after the last one it is given up, which /readyz shows."""
        table = self._notice
        spent = notice["attempts"] >= default("shared", "ops_attempts")
        state = "delivered" if delivered else "given-up" if spent else "waiting"
        pause = default("shared", "ops_first_retry") * 2 ** (notice["attempts"] - 1)
        values = {"state": state, "next_at": self._runtime.clock.now() + pause}
        async with self._runtime.engine.begin() as conn:
            await conn.execute(update(table).where(table.c.notice_id == notice["notice_id"]).values(values))


def _plain(text: str | None) -> str:
    """A type or class name as it is; what came from an unreadable record's header only if it looks like one."""
    return text if text and _NAME.fullmatch(text) else "unreadable"
