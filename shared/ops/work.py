"""The pass "ops": finds what nobody thought of saying (a parked key, an outbox that grows old), and has notices delivered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import Row, String, cast, exists, literal, null, select, union_all

from shared.db import metadata_for, tables_of
from shared.defaults import default
from shared.due import work_id
from shared.house_tables import house_tables
from shared.http.commands import forget_old
from shared.messaging.knobs import Knobs
from shared.messaging.memory import Memory
from shared.messaging.work import KEY_PARKED
from shared.ops.channels import Channel, channels_of
from shared.ops.delivery import Delivery
from shared.ops.notice import ops_say
from shared.outbox_age import Unsent, unsent

if TYPE_CHECKING:
    from shared.runtime import Runtime

_AT_ONCE = 20
_FORGET_EVERY = 600.0
_LOOK_AT_OUTBOX_EVERY = 10.0
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,80}")


class OpsPass:
    """`tells_clinic`: the service has a fire for KEY_PARKED. `channels`: other ones than the settings name."""

    name = "ops"

    def __init__(self, runtime: Runtime, *, tells_clinic: bool = False, channels: Sequence[Channel] | None = None) -> None:
        self._runtime = runtime
        self._tells_clinic = tells_clinic
        self._service = runtime.settings.service
        self._notice = house_tables(metadata_for(self._service)).ops_notice
        self._delivery = Delivery(runtime, channels_of(runtime.settings) if channels is None else channels)
        self._memory = Memory(runtime.engine, self._service, uuid4(), Knobs())
        self._forgot_at = float("-inf")
        self._looked_at = float("-inf")

    def in_flight(self) -> int:
        return self._delivery.sending

    async def run(self, now: datetime) -> int:
        await self._forget(now)
        await self._watch_outbox()
        found = await self._report_parked()
        return found + await self._delivery.run(now)

    async def next_due(self) -> datetime | None:
        """The clinical instant of the next try of a delivery."""
        return await self._delivery.next_due()

    async def _forget(self, now: datetime) -> None:
        """Drops idempotency keys that no client repeats any more; looked at now and then, by the machine's time."""
        if monotonic() - self._forgot_at < _FORGET_EVERY:
            return
        async with self._runtime.engine.begin() as conn:
            await forget_old(conn, self._service, now)
        self._forgot_at = monotonic()

    async def _watch_outbox(self) -> None:
        """Says once that the outbox grows old, and once that it is well again. On simulated time age means nothing."""
        if self._runtime.settings.simulated or monotonic() - self._looked_at < _LOOK_AT_OUTBOX_EVERY:
            return
        self._looked_at = monotonic()
        async with self._runtime.reader.connect() as conn:
            found = await unsent(conn, self._memory, self._service, self._runtime.clock.now())
            open_one: str | None = (await conn.execute(self._open_outbox())).scalar()
        limit: timedelta = default("shared", "outbox_age_unready")
        if found.age > limit.total_seconds() and open_one is None:
            await self._say_outbox("outbox-old", found, str(found.oldest))
        elif found.count == 0 and open_one is not None:
            await self._say_outbox("outbox-well", found, open_one)

    def _open_outbox(self) -> Any:
        """The one that was said old and not yet well again."""
        well = self._notice.alias()
        again = exists().where(well.c.kind == "outbox-well", well.c.dedup == self._notice.c.dedup)
        return select(self._notice.c.dedup).where(self._notice.c.kind == "outbox-old", ~again).limit(1)

    async def _say_outbox(self, kind: str, found: Unsent, dedup: str) -> None:
        async with self._runtime.unit() as unit:
            await ops_say(unit, kind, {"unsent": found.count, "oldest_seconds": int(found.age)}, dedup=dedup)

    async def _report_parked(self) -> int:
        """A notice for every parked event or due work that has none: whoever parked it need not think of it."""
        async with self._runtime.reader.connect() as conn:
            unsaid = (await conn.execute(self._unsaid())).all()
        if not unsaid:
            return 0
        async with self._runtime.unit() as unit:
            await unit.lock(*{row.key for row in unsaid})
            for row in unsaid:
                details = {"what": row.what, "type": _plain(row.type), "error": _plain(row.error), "id": str(_id_at_desk(row))}
                await ops_say(unit, "key-parked", details, dedup=row.ref, clinic_id=row.clinic_id)
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
        event_columns = (
            parked.c.event_id,
            cast(null(), String).label("work_ref"),
            parked.c.type,
            parked.c.error,
            parked.c.key,
            parked.c.clinic_id,
        )
        events = select(event_ref.label("ref"), literal("event").label("what"), *event_columns)
        work_columns = (
            cast(null(), parked.c.event_id.type).label("event_id"),
            due.c.ref.label("work_ref"),
            due.c.kind,
            due.c.error,
            due.c.key,
            due.c.clinic_id,
        )
        work = select(work_ref.label("ref"), literal("due-work").label("what"), *work_columns)
        both = union_all(events.where(parked.c.state == "parked"), work.where(due.c.state == "parked")).subquery()
        said = exists().where(self._notice.c.kind == "key-parked", self._notice.c.dedup == both.c.ref)
        return select(both).where(~said).limit(_AT_ONCE)


def _id_at_desk(row: Row[Any]) -> UUID:
    """The id by which `steadypath parked` knows it."""
    event_id: UUID | None = row.event_id
    return event_id or work_id(row.type, row.work_ref)


def _plain(text: str | None) -> str:
    """A type or class name as it is; what came from an unreadable record's header only if it looks like one."""
    return text if text and _NAME.fullmatch(text) else "unreadable"
