"""Passes: run when something is due, again when woken, never twice at once, never spinning, never silent when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from shared.loops import Loop, Loops
from shared.metrics import Metrics

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


class StandingClock:
    def now(self) -> datetime:
        return NOW


@dataclass
class Scripted:
    """A pass that does what the script says, then is idle; signals each run."""

    name: str = "scripted"
    script: list[int | Exception] = field(default_factory=list)
    due: datetime | None = None
    runs: list[datetime] = field(default_factory=list)
    ran: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None
    at_once: int = 0
    most_at_once: int = 0

    async def run(self, now: datetime) -> int:
        self.runs.append(now)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.ran.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
            step = self.script.pop(0) if self.script else 0
        finally:
            self.at_once -= 1
        if isinstance(step, Exception):
            raise step
        return step

    async def next_due(self) -> datetime | None:
        return self.due

    def in_flight(self) -> int:
        return 0


def loop_of(work: Scripted, *, simulated: bool = False) -> Loop:
    return Loop(work, StandingClock(), Metrics(), simulated=simulated)


async def stopped_after(loop: Loop, enough: Callable[[], bool], seconds: float = 5.0) -> float:
    """Runs the loop until `enough`; how long that took."""
    stopping, began = asyncio.Event(), monotonic()
    task = asyncio.create_task(loop.forever(stopping))
    async with asyncio.timeout(seconds):
        while not enough():  # noqa: ASYNC110 - gives way to the loop under test, waits for nothing
            await asyncio.sleep(0)
    took = monotonic() - began
    stopping.set()
    await task
    return took


async def test_work_goes_on_without_a_pause_until_idle() -> None:
    work = Scripted(script=[5, 3, 0])
    assert await stopped_after(loop_of(work), lambda: len(work.runs) >= 3) < 0.5


async def test_an_idle_pass_is_looked_at_after_a_second_at_most() -> None:
    work = Scripted(due=NOW + timedelta(hours=1))
    assert 0.8 < await stopped_after(loop_of(work), lambda: len(work.runs) >= 2) < 1.6


async def test_a_near_due_time_shortens_the_sleep() -> None:
    work = Scripted(due=NOW + timedelta(milliseconds=100))
    assert await stopped_after(loop_of(work), lambda: len(work.runs) >= 3) < 0.8


async def test_waking_shortens_it_further() -> None:
    work = Scripted()
    loop = loop_of(work)
    task = asyncio.create_task(stopped_after(loop, lambda: len(work.runs) >= 2))
    await work.ran.wait()
    loop.wake()
    assert await task < 0.5


async def test_a_failing_pass_is_counted_and_waits_longer_each_time() -> None:
    work = Scripted(script=[*[RuntimeError("canary")] * 3, 1])
    loop = loop_of(work)
    took = await stopped_after(loop, lambda: loop.done == 1)
    assert took >= 0.25 + 0.5 + 1.0
    assert loop.failures == 0
    assert len(work.runs) <= 5


async def test_a_failing_pass_makes_the_process_unready() -> None:
    script: list[int | Exception] = [RuntimeError("canary")] * 3
    work = Scripted(script=script)
    loops = Loops([work], StandingClock(), Metrics(), simulated=True)
    for expected in ([], [], ["scripted"]):
        await loops.all[0].once()
        assert loops.failing() == expected
    await loops.all[0].once()
    assert loops.failing() == []


async def test_a_step_and_the_loop_never_run_one_pass_twice_at_a_time() -> None:
    work = Scripted(script=[1, 1, 1, 0])
    work.hold = asyncio.Event()
    loops = Loops([work], StandingClock(), Metrics(), simulated=True)
    stopping = asyncio.Event()
    running = asyncio.create_task(loops.run(stopping, 5))
    await work.ran.wait()
    stepping = asyncio.create_task(loops.until_idle(5))
    await asyncio.sleep(0)
    assert loops.in_flight() == 1
    work.hold.set()
    await stepping
    stopping.set()
    await running
    assert work.most_at_once == 1
    assert loops.in_flight() == 0
    assert loops.work() == 3


async def test_while_a_driver_steps_a_loop_begins_nothing_by_itself_and_goes_on_after_it() -> None:
    work = Scripted()
    loop, stopping = loop_of(work, simulated=True), asyncio.Event()
    loop.stepped(60)
    running = asyncio.create_task(loop.forever(stopping))
    loop.wake()
    for _ in range(100):
        await asyncio.sleep(0)
    assert work.runs == []
    await loop.once()
    assert len(work.runs) == 1, "the driver's own run"
    work.ran.clear()
    loop.stepped(0)
    async with asyncio.timeout(3):
        await work.ran.wait()
    stopping.set()
    await running


async def test_until_idle_goes_round_until_no_pass_finds_anything() -> None:
    """What one pass does may be what another waits for."""
    first, second = Scripted(name="a", script=[0, 1, 0]), Scripted(name="b", script=[2, 0, 0])
    loops = Loops([first, second], StandingClock(), Metrics(), simulated=True)
    await loops.until_idle(5)
    assert (len(first.runs), len(second.runs)) == (3, 3)


async def test_stopping_lets_the_run_under_way_end_and_begins_no_other() -> None:
    work = Scripted(script=[7, 7, 7])
    work.hold = asyncio.Event()
    loops = Loops([work], StandingClock(), Metrics(), simulated=False)
    stopping = asyncio.Event()
    running = asyncio.create_task(loops.run(stopping, 5))
    await work.ran.wait()
    stopping.set()
    work.hold.set()
    await running
    assert (len(work.runs), loops.work()) == (1, 7)


async def test_a_run_that_never_ends_is_cut_off_at_the_grace() -> None:
    work = Scripted()
    work.hold = asyncio.Event()
    loops = Loops([work], StandingClock(), Metrics(), simulated=False)
    stopping = asyncio.Event()
    running = asyncio.create_task(loops.run(stopping, 0.1))
    await work.ran.wait()
    stopping.set()
    async with asyncio.timeout(2):
        await running
    assert work.at_once == 0


async def test_waking_a_pass_of_another_process_is_no_error() -> None:
    passes: Sequence[Scripted] = []
    Loops(passes, StandingClock(), Metrics(), simulated=False).wake("sender")
