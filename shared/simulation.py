"""Simulated time, stepped: all passes until idle, then an honest snapshot of what is still under way.

The driver sets the clock page, steps every service, and goes on until two snapshots in a row are equal and quiet. So nothing may
be left out: a row that waits, a batch being handled, a command under way, an event that Kafka has and we have not confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.health import Consumer
from shared.http import commands
from shared.http.security import requires
from shared.identity import Caller
from shared.messaging.knobs import Knobs
from shared.messaging.memory import Memory

if TYPE_CHECKING:
    from shared.loops import Loops
    from shared.runtime import Runtime

#: A step answers after so long (machine seconds) even where work goes on: the driver simply steps again.
_LONGEST_STEP = 10.0


class Snapshot(BaseModel):
    """What one service still has to do at `now` (clinical, UTC). Quiet: due, unsent and in_flight are 0 and consumed has reached
    what the others have published."""

    now: datetime
    #: The next clinical instant at which something is due by itself; None where nothing is planned.
    next_due: datetime | None
    due: int
    unsent: int
    in_flight: int
    parked: int
    #: "topic:partition" -> the last offset that one of our events has.
    published: dict[str, int]
    #: "topic:partition" -> the next offset that we shall read, as committed.
    consumed: dict[str, int]
    #: Rises with everything done: two equal snapshots mean that nothing happened in between.
    work: int


class Stepper:
    """Steps one service. One step at a time; the passes' own locks keep the loops apart from it."""

    def __init__(self, runtime: Runtime, loops: Loops, consumer: Consumer | None, *, handled: Callable[[], int]) -> None:
        self._runtime = runtime
        self._loops = loops
        self._consumer = consumer
        self._memory = Memory(runtime.engine, runtime.settings.service, uuid4(), Knobs())
        self._handled = handled
        self._one = asyncio.Lock()

    async def step(self) -> Snapshot:
        async with self._one:
            # The passes' transactions are theirs, not the stepping request's: no audit row, no claimed key.
            with commands.acting_for(None):
                await self._loops.until_idle(_LONGEST_STEP)
                return await self.snapshot()  # asking a pass when it is due next opens transactions as well

    async def snapshot(self) -> Snapshot:
        """Counted in an order in which nothing can slip through: what is under way first and last, the rows in between."""
        before = self._in_flight()
        now = self._runtime.clock.now()
        async with self._runtime.engine.connect() as conn:
            await conn.execution_options(isolation_level="REPEATABLE READ")
            unsent = await self._memory.unsent(conn)
            lasts = await self._memory.lasts(conn)
            due, next_due, parked = await self._rows(conn, now)
        for loop in self._loops.all:
            instant = None if loop.name == "ticker" else await loop.next_due()
            if instant is not None:
                due += instant <= now
                next_due = min(next_due, instant) if next_due else instant
        return Snapshot(
            now=now,
            next_due=next_due,
            due=due,
            unsent=unsent,
            in_flight=max(before, self._in_flight()),
            parked=parked,
            published={f"{topic}:{partition}": last for topic, ends in lasts.items() for partition, last in ends.items()},
            consumed=self._consumer.positions() if self._consumer is not None else {},
            work=self._loops.work() + self._handled() + self._runtime.commands_done,
        )

    async def _rows(self, conn: AsyncConnection, now: datetime) -> tuple[int, datetime | None, int]:
        tables = tables_of(self._runtime.settings.service)
        due, parked = tables.due_work, tables.parked
        waiting = due.c.state == "waiting"
        row = (
            await conn.execute(
                select(
                    func.count().filter(waiting, due.c.due_at <= now),
                    func.min(due.c.due_at).filter(waiting),
                    func.count().filter(due.c.state == "parked"),
                ).select_from(due)
            )
        ).one()
        events = select(func.count()).select_from(parked).where(parked.c.state.in_(("parked", "behind")))
        return row[0], row[1], row[2] + (await conn.execute(events)).scalar_one()

    def _in_flight(self) -> int:
        batch = self._consumer.in_flight() if self._consumer is not None else 0
        return self._loops.in_flight() + batch + self._runtime.commands_in_flight


def router(stepper: Stepper) -> APIRouter:
    """`POST /simulation/step`, mounted only where a clock page is in use."""
    routes = APIRouter(tags=["simulation"])

    @routes.post("/simulation/step")
    async def step(caller: Annotated[Caller, Depends(requires("ops"))]) -> Snapshot:
        return await stepper.step()

    return routes
