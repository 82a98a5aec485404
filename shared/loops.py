"""Runs the passes of a service: each in a loop of its own that sleeps until there is something to do, at most a second.

A lock for each pass: the loop and a simulation step never run one twice at a time. A pass that raises is logged by class, counted
and tried again after a growing pause: never silent, never spinning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from time import monotonic, perf_counter

from shared.clock import Clock
from shared.http.problems import is_passing
from shared.logs import log
from shared.messaging.unit import Pass
from shared.metrics import Metrics

_LONGEST_SLEEP = 1.0
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 15.0
#: A pass that has not come back for so long (machine seconds) stands still; its database and HTTP calls end long before.
STUCK_AFTER = 60.0


class Loop:
    """One pass and its state, as the health page and the snapshot need it."""

    def __init__(self, work: Pass, clock: Clock, metrics: Metrics, *, simulated: bool) -> None:
        self.work = work
        self.failures = 0
        self.done = 0
        self._clock = clock
        self._metrics = metrics
        self._simulated = simulated
        self._busy = asyncio.Lock()
        self._woken = asyncio.Event()
        self._began: float | None = None
        self._stepped_until = 0.0

    @property
    def name(self) -> str:
        return self.work.name

    @property
    def roams(self) -> bool:
        """Whether it looks for what no row tells: `roams = True` on the pass."""
        return bool(getattr(self.work, "roams", False))

    def wake(self) -> None:
        self._woken.set()

    def stepped(self, seconds: float) -> None:
        """For so long (machine time) a driver of simulated time is at work: it runs us whenever there is something to do. By
        ourselves we begin nothing: that would be done twice, and a look that falls into it takes it for work under way."""
        self._stepped_until = monotonic() + seconds

    def take_wake(self) -> bool:
        """Whether somebody has made work for us since we ran last; whoever asks runs us."""
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    def in_flight(self) -> int:
        return self.work.in_flight() + (1 if self._busy.locked() else 0)

    def stuck_for(self) -> float:
        """Machine seconds that the present run has taken beyond what any run may; 0 while all is well."""
        running = monotonic() - self._began if self._began is not None else 0.0
        return running if running > STUCK_AFTER else 0.0

    async def once(self) -> int:
        """One run; what it did. A failure is logged and counted, and counts as nothing done."""
        async with self._busy:
            self._began = monotonic()
            started = perf_counter()
            try:
                amount = await self.work.run(self._clock.now())
            except Exception as error:  # every pass may fail at any time; the loop's policy is the same for all
                self._failed(error)
                return 0
            finally:
                self._began = None
        self.failures = 0
        self.done += amount
        self._metrics.passes.labels(self.name, "worked" if amount else "idle").inc()
        if amount:
            self._metrics.pass_seconds.labels(self.name).observe(perf_counter() - started)
        return amount

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._metrics.passes.labels(self.name, "failed").inc()
        log.failure(
            "pass failed", error, level="warning" if is_passing(error) else "error", name=self.name, attempt=self.failures
        )

    async def forever(self, stopping: asyncio.Event) -> None:
        """Until `stopping`: the run under way is finished, no further one begins."""
        while not stopping.is_set():
            if (rest := self._stepped_until - monotonic()) > 0:
                await _first_of(stopping, None, min(rest, _LONGEST_SLEEP))  # a wake-up meanwhile is the driver's to take
                continue
            self._woken.clear()
            amount = await self.once()
            if amount:
                await asyncio.sleep(0)
            elif self.failures:
                await _first_of(stopping, None, self._pause())
            else:
                await _first_of(stopping, self._woken, await self._sleep())

    def _pause(self) -> float:
        return min(_FIRST_PAUSE * 2.0 ** min(self.failures - 1, 10), _LONGEST_PAUSE)

    async def _sleep(self) -> float:
        """Seconds until the next thing to do. Simulated time stands still: there the step wakes us, or the next look."""
        if self._simulated:
            return _LONGEST_SLEEP
        due = await self.next_due()
        return _LONGEST_SLEEP if due is None else min(max((due - self._clock.now()).total_seconds(), 0.0), _LONGEST_SLEEP)

    async def next_due(self) -> datetime | None:
        """The pass's own answer; None, logged, where it cannot say."""
        try:
            return await self.work.next_due()
        except Exception as error:  # as in `once`
            self._failed(error)
            return None


async def _first_of(stopping: asyncio.Event, woken: asyncio.Event | None, seconds: float) -> None:
    """Returns when the first of them happens."""
    waits = [asyncio.ensure_future(each.wait()) for each in (stopping, woken) if each is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Loops:
    """All passes of a process."""

    def __init__(self, passes: Sequence[Pass], clock: Clock, metrics: Metrics, *, simulated: bool) -> None:
        self.all = [Loop(work, clock, metrics, simulated=simulated) for work in passes]
        self._by_name = {loop.name: loop for loop in self.all}

    def wake(self, name: str) -> None:
        """A name that has no pass in this process (role web) is some other process's: it looks within a second."""
        if name in self._by_name:
            self._by_name[name].wake()

    def stepped(self, seconds: float) -> None:
        """As `Loop.stepped`, for all."""
        for loop in self.all:
            loop.stepped(seconds)

    async def until_idle(self, seconds: float) -> None:
        """Runs all passes in turn until none finds anything to do, or for so long (machine time)."""
        end = monotonic() + seconds
        while monotonic() < end:
            amounts = [await loop.once() for loop in self.all]
            if not any(amounts):
                return

    def in_flight(self) -> int:
        return sum(loop.in_flight() for loop in self.all)

    def work(self) -> int:
        return sum(loop.done for loop in self.all)

    def stuck(self) -> list[str]:
        return [loop.name for loop in self.all if loop.stuck_for()]

    def failing(self) -> list[str]:
        """Passes that failed three times in a row or more."""
        return [loop.name for loop in self.all if loop.failures >= 3]

    async def run(self, stopping: asyncio.Event, grace: float) -> None:
        """Runs until `stopping`, then gives the runs under way `grace` seconds."""
        tasks = [asyncio.create_task(loop.forever(stopping), name=f"pass {loop.name}") for loop in self.all]
        if not tasks:
            await stopping.wait()
            return
        stop = asyncio.ensure_future(stopping.wait())
        await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        _, late = await asyncio.wait(tasks, timeout=grace) if stopping.is_set() else (tasks, [])
        for task in late:
            log.warning("pass cut off at the stop", name=task.get_name().removeprefix("pass "))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
