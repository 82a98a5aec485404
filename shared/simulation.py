"""Simulated time, stepped: what is due is carried out, then an honest snapshot says what is still under way.

The driver sets the clock page, steps whoever has something to do, and moves on where what all have said is quiet; mostly nobody
is asked twice. So nothing may be left out of one snapshot: a row that waits, a batch being handled, a command under way, an event
that Kafka has and we have not confirmed.

A step costs what there is to do: the passes that have something due are run, not all of them; and where this process has done
nothing at all since its last quiet snapshot, that snapshot is given again without asking the database. Every pass is run at the
first step and at the end of an advance; those that look for what no row tells them (the provider's list) once in a clinical day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.dialects.postgresql import JSONB
from starlette.requests import Request
from starlette.responses import Response

from shared.db import typed_sql
from shared.health import Consumer
from shared.http import commands
from shared.http.plain import plain
from shared.http.security import admitted, requires
from shared.messaging.memory import Offsets
from shared.messaging.memory_sql import ALL_THAT_WAITS

if TYPE_CHECKING:
    from shared.loops import Loop, Loops
    from shared.runtime import Runtime

#: A step answers after so long (machine seconds) even where work goes on: the driver simply steps again.
_LONGEST_STEP = 10.0
#: So long (machine seconds) it waits for records that it was told of, and for what is in flight.
_LONGEST_WAIT = 0.25
_LOOK_EVERY = 0.001
#: Within so long (machine seconds) a driver that waits for quiet steps again; a driver that has gone leaves us to our loops.
_NEXT_STEP = 1.0
#: The passes of the house: when they have something to do stands in its rows.
_IN_THE_ROWS = ("ticker", "relay", "ops")
#: Passes that roam are run at least so often, clinical time.
_ROAM_EVERY = timedelta(days=1)


class Expected(BaseModel):
    """What the driver knows: the offsets that others have published ("topic:partition" -> last). `all`: run every pass."""

    published: dict[str, int] = Field(default_factory=dict)
    all: bool = False


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

    @property
    def quiet(self) -> bool:
        return not (self.due or self.unsent or self.in_flight)


@dataclass(frozen=True)
class _Seen:
    """A snapshot, when each pass has something to do, whether events wait, and what this process had done when it began."""

    snapshot: Snapshot
    instants: Mapping[str, datetime]
    doings: tuple[int, ...]

    def busy(self, loops: Loops, now: datetime) -> list[Loop]:
        """The passes that have something to do at `now`."""
        due = [loop for loop in loops.all if loop.name in self.instants and self.instants[loop.name] <= now]
        return due + [loop for loop in loops.all if loop.name == "relay" and self.snapshot.unsent]


class Stepper:
    """Steps one service. One step at a time; the passes' own locks keep the loops apart from it."""

    def __init__(self, runtime: Runtime, loops: Loops, consumer: Consumer | None, *, handled: Callable[[], int]) -> None:
        self._runtime = runtime
        self._loops = loops
        self._consumer = consumer
        self._handled = handled
        self._one = asyncio.Lock()
        self._last: _Seen | None = None
        self._roamed_at: datetime | None = None
        #: When Kafka is asked again although no driver says so.
        self._waking: asyncio.TimerHandle | None = None
        self._rows = typed_sql(runtime.settings.service, ALL_THAT_WAITS, columns=(("lasts", JSONB),))

    async def step(self, expected: Expected) -> Snapshot:
        async with self._one:
            self._loops.stepped(2 * _LONGEST_STEP)
            try:
                # The passes' transactions are theirs, not the stepping request's: no audit row, no claimed key.
                with commands.acting_for(None):
                    return await self._step(expected)
            finally:
                self._rest()
                self._loops.stepped(_NEXT_STEP)

    def _rest(self) -> None:
        """Until the driver says what is on its way, or has gone, Kafka is not asked."""
        if self._consumer is None:
            return
        self._consumer.rest(True)
        if self._waking is not None:
            self._waking.cancel()
        self._waking = asyncio.get_running_loop().call_later(_NEXT_STEP, self._consumer.rest, False)

    async def _step(self, expected: Expected) -> Snapshot:
        if self._consumer is not None:
            await self._consumer.reach(expected.published, _LONGEST_WAIT)
        now = self._runtime.clock.now()
        if expected.all or self._roamed_at is None:
            self._roamed_at = now
            await self._loops.until_idle(_LONGEST_STEP)
        elif now - self._roamed_at >= _ROAM_EVERY:
            self._roamed_at = now
            await self._run([loop for loop in self._loops.all if loop.roams])
        if not expected.all and (same := self._unchanged()) is not None:
            return same
        return await self._until_idle(monotonic() + _LONGEST_STEP)

    def _unchanged(self) -> Snapshot | None:
        """The last quiet snapshot at the present time, where nothing has been done here since and nothing has come due."""
        last, now = self._last, self._runtime.clock.now()
        if last is None or not last.snapshot.quiet or self._in_flight() or self._doings() != last.doings:
            return None
        if last.snapshot.next_due is not None and last.snapshot.next_due <= now:
            return None
        return last.snapshot.model_copy(update={"now": now, "consumed": self._positions()})

    async def _until_idle(self, end: float) -> Snapshot:
        """Runs what has something to do until nothing has, or until what has cannot do it."""
        if self._last is not None:  # what came due since is known without asking
            await self._run(self._last.busy(self._loops, self._runtime.clock.now()))
        while True:
            await self._run_woken(end)
            seen = await self._look()
            parked_anew = self._last is None or self._last.snapshot.parked != seen.snapshot.parked
            self._last = seen
            done = await self._run(self._loops.all if parked_anew else seen.busy(self._loops, seen.snapshot.now))
            if not done and self._doings() == seen.doings:
                return seen.snapshot if seen.snapshot.in_flight == self._in_flight() else (await self._look()).snapshot
            if monotonic() > end:  # what was seen is over, and nobody must take it for quiet
                return seen.snapshot.model_copy(update={"in_flight": max(1, self._in_flight())})

    async def _run(self, loops: Sequence[Loop]) -> int:
        done = sum([await loop.once() for loop in loops])
        if loops:
            await self._let_land()
        return done

    async def _run_woken(self, end: float) -> None:
        """Runs the passes for which somebody has made work, until there is no such pass: cheaper than looking for it."""
        await self._let_land()
        while monotonic() < end and (woken := [loop for loop in self._loops.all if loop.take_wake() and loop.name != "ticker"]):
            await self._run(woken)

    async def _let_land(self) -> None:
        """What is under way mostly ends in a moment: then the driver need not ask again."""
        end = monotonic() + _LONGEST_WAIT
        while self._in_flight() and monotonic() < end:
            self._runtime.stirred.clear()
            with suppress(TimeoutError):  # not everything that is under way stirs when it ends
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._runtime.stirred.wait()

    async def snapshot(self) -> Snapshot:
        return (await self._look()).snapshot

    async def _look(self) -> _Seen:
        """Counted in an order in which nothing can slip through: what is under way first and last; what has been read of Kafka
        before the rows that it may have made; the rows of the house in one snapshot of the database. So what moves on meanwhile
        is met again."""
        before, doings, consumed = self._in_flight(), self._doings(), self._positions()
        now = self._runtime.clock.now()
        async with self._runtime.reader.connect() as conn:
            rows = (await conn.execute(self._rows, {"now": now})).one()
        instants = {name: at for name, at in (("ticker", rows.next_due), ("ops", rows.next_notice)) if at is not None}
        due = rows.due + (rows.next_notice is not None and rows.next_notice <= now)
        others = [loop for loop in self._loops.all if loop.name not in _IN_THE_ROWS]
        # One that cannot say fails the step: left out, it would look as if it had nothing to do.
        told = await asyncio.gather(*(loop.work.next_due() for loop in others))
        for loop, instant in zip(others, told, strict=True):
            if instant is not None:
                due += instant <= now
                instants[loop.name] = instant
        lasts: Offsets = rows.lasts or {}
        snapshot = Snapshot(
            now=now,
            next_due=min(instants.values(), default=None),
            due=due,
            unsent=rows.waiting + (rows.repair_from is not None),
            in_flight=max(before, self._in_flight()),
            parked=rows.parked,
            published={f"{topic}:{partition}": last for topic, ends in lasts.items() for partition, last in ends.items()},
            consumed=consumed,
            work=self._loops.work() + self._handled() + self._runtime.commands_done,
        )
        return _Seen(snapshot, instants, doings)

    def _positions(self) -> dict[str, int]:
        return self._consumer.positions() if self._consumer is not None else {}

    def _doings(self) -> tuple[int, ...]:
        """Changes with whatever this process has done that could change its snapshot: whoever makes work for a pass wakes it."""
        runtime = self._runtime
        return self._loops.work(), self._handled(), runtime.commands_done, runtime.changes

    def _in_flight(self) -> int:
        batch = self._consumer.in_flight() if self._consumer is not None else 0
        return self._loops.in_flight() + batch + self._runtime.commands_in_flight


def router(stepper: Stepper) -> APIRouter:
    """`POST /simulation/step`, mounted only where a clock page is in use."""
    routes = APIRouter(tags=["simulation"])

    guard = [Depends(requires("ops"))]
    body = {"content": {"application/json": {"schema": Expected.model_json_schema()}}}

    @routes.post("/simulation/step", dependencies=guard, response_model=Snapshot, openapi_extra={"requestBody": body})
    @plain  # a rehearsal asks thousands of times
    async def step(request: Request) -> Response:
        await admitted(request, "ops")
        content = await request.body()
        try:
            expected = Expected.model_validate_json(content) if content else Expected()
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None
        snapshot = await stepper.step(expected)
        return Response(snapshot.model_dump_json(), media_type="application/json")

    return routes
