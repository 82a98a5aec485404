"""Brings notices to a person: by every channel that is set, each kept track of by itself, at least once, with bounded tries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import RowMapping, func, select, update

from shared.db import metadata_for
from shared.defaults import default
from shared.house_tables import house_tables
from shared.logs import log
from shared.ops.channels import Channel, Outcome
from shared.ops.notice import notice_of, ops_say

if TYPE_CHECKING:
    from shared.runtime import Runtime

_BATCH = 20
#: The channels' answers are awaited under a lease of so long; a process that dies in between leaves it to the next.
_LEASE = timedelta(seconds=30)
_A_DAY = timedelta(days=1)
MISSED = "notices-missed"
_Told = Mapping[str, Mapping[UUID, Outcome]]


class Delivery:
    """The waiting notices of one service."""

    def __init__(self, runtime: Runtime, channels: Sequence[Channel]) -> None:
        self._runtime = runtime
        self._channels = channels
        self._service = runtime.settings.service
        self._notice = house_tables(metadata_for(self._service)).ops_notice
        self.sending = 0

    async def run(self, now: datetime) -> int:
        """One try of what is due; how many notices that were."""
        notices = await self._claim(now)
        self.sending = len(notices)
        try:
            told = await self._tell(notices)
            for notice in notices:
                await self._settle(notice, told)
            if any(outcome.state == "delivered" for outcomes in told.values() for outcome in outcomes.values()):
                await self._own_up()
        finally:
            self.sending = 0
        return len(notices)

    async def _own_up(self) -> None:
        """Somebody can be reached: says, once a day for each channel, that it gave up on notices of the last day."""
        async with self._runtime.unit() as unit:
            for channel in self._channels:
                of = self._notice.c
                missed = select(func.count()).where(
                    of.refused_by.contains([channel.name]), of.at > unit.now - _A_DAY, of.kind != MISSED
                )
                count = int((await unit.conn.execute(missed)).scalar_one())
                if count:
                    details: dict[str, str | int] = {"channel": channel.name, "count": count}
                    await ops_say(unit, MISSED, details, dedup=f"{channel.name}/{unit.now.date().isoformat()}")

    async def next_due(self) -> datetime | None:
        """The clinical instant of the next try."""
        statement = select(func.min(self._notice.c.next_at)).where(self._notice.c.state == "waiting")
        async with self._runtime.reader.connect() as conn:
            due: datetime | None = (await conn.execute(statement)).scalar_one()
        return due

    async def _claim(self, now: datetime) -> Sequence[RowMapping]:
        """Takes what is due under a lease and counts the try before it is made."""
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
        for row in rows:
            log.error("ops notice", kind=row["kind"], notice_id=row["notice_id"], attempt=row["attempts"])
        return rows

    async def _tell(self, notices: Sequence[RowMapping]) -> _Told:
        """Every channel at the same time: one that hangs holds no other up."""
        told = await asyncio.gather(*(self._by(channel, notices) for channel in self._channels))
        return {channel.name: outcomes for channel, outcomes in zip(self._channels, told, strict=True)}

    async def _by(self, channel: Channel, notices: Sequence[RowMapping]) -> Mapping[UUID, Outcome]:
        waiting = [notice_of(self._service, row) for row in notices if channel.name in self._lacking(row)]
        if not waiting:
            return {}
        outcomes = await channel.deliver(waiting)
        for outcome in {outcome for outcome in outcomes.values() if outcome.why is not None}:
            count = sum(each == outcome for each in outcomes.values())
            log.warning("ops channel failed", name=channel.name, reason=outcome.why, code=outcome.code or 0, count=count)
        return outcomes

    def _lacking(self, row: RowMapping) -> list[str]:
        over = {*row["delivered_by"], *row["refused_by"]}
        return [channel.name for channel in self._channels if channel.name not in over]

    async def _settle(self, row: RowMapping, told: _Told) -> None:
        """Doubling pauses between tries; after the last one it is given up, which /readyz shows. Without any channel the log,
        which has it by now, is the channel."""
        spent = row["attempts"] >= default("shared", "ops_attempts")
        states = {name: told[name][row["notice_id"]].state for name in self._lacking(row)}
        delivered = {*row["delivered_by"], *(name for name, state in states.items() if state == "delivered")}
        refused = {
            *row["refused_by"],
            *(name for name, state in states.items() if state == "refused" or (spent and state == "later")),
        }
        waits = any(state == "later" for state in states.values()) and not spent
        pause = default("shared", "ops_first_retry") * 2 ** (row["attempts"] - 1)
        values = {
            "delivered_by": sorted(delivered),
            "refused_by": sorted(refused),
            "state": "waiting" if waits else "given-up" if refused else "delivered",
            "next_at": self._runtime.clock.now() + pause,
        }
        async with self._runtime.engine.begin() as conn:
            await conn.execute(update(self._notice).where(self._notice.c.notice_id == row["notice_id"]).values(values))
