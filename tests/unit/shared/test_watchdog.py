"""What stands still makes the process unready, tells ops, and ends it; what recovers in time does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import cast

from shared.health import Health
from shared.loops import Loops
from shared.watchdog import Patience, Watchdog

ROOT = Path(__file__).resolve().parents[3]
QUICK = Patience(look_every=0.01, grace=0.1)


class Standing:
    """Loops or a consumer as the watchdog sees them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.seconds = 0.0
        self.looks = 0

    def stuck(self) -> list[str]:
        self.looks += 1
        return self.names

    def stuck_for(self) -> float:
        return self.seconds


class Page:
    given_up: str | None = None


def watching(
    loops: Standing, page: Page, told: list[str], consumer: Standing | None = None, alarm: str | None = None
) -> Watchdog:
    async def tell(what: str) -> None:
        told.append(what)
        if what == "deaf":
            raise OSError("the database is away")

    return Watchdog(
        cast(Health, page),
        cast(Loops, loops),
        consumer,  # type: ignore[arg-type]  # only what is asked of it
        tell_ops=tell,
        alarm=lambda: alarm,
        patience=QUICK,
    )


async def test_a_pass_that_never_comes_back_ends_the_process() -> None:
    loops, page, told = Standing(), Page(), list[str]()
    loops.names = ["sender"]
    async with asyncio.timeout(2):
        assert await watching(loops, page, told).run(asyncio.Event()) == "sender"
    assert page.given_up == "sender"
    assert told == ["sender"]


async def test_a_consumer_that_stands_while_records_wait_ends_it_even_if_ops_cannot_be_told() -> None:
    consumer = Standing()
    consumer.seconds = 61.0
    page, told = Page(), list[str]()
    async with asyncio.timeout(2):
        assert await watching(Standing(), page, told, consumer).run(asyncio.Event()) == "consumer"
    loops = Standing()
    loops.names = ["deaf"]
    async with asyncio.timeout(2):
        assert await watching(loops, page, told).run(asyncio.Event()) == "deaf"


async def test_what_recovers_within_the_grace_is_ready_again() -> None:
    loops, page, told, stopping = Standing(), Page(), list[str](), asyncio.Event()
    loops.names = ["sender"]
    task = asyncio.create_task(watching(loops, page, told).run(stopping))
    async with asyncio.timeout(2):
        while page.given_up is None:  # noqa: ASYNC110 - gives way to the watchdog, waits for nothing
            await asyncio.sleep(0)
        loops.names = []
        while page.given_up is not None:  # noqa: ASYNC110 - gives way to the watchdog, waits for nothing
            await asyncio.sleep(0)
    stopping.set()
    assert await task is None


async def test_an_alarm_is_told_once_and_does_not_end_the_process() -> None:
    loops, told, stopping = Standing(), list[str](), asyncio.Event()
    task = asyncio.create_task(watching(loops, Page(), told, alarm="flood").run(stopping))
    async with asyncio.timeout(2):
        while loops.looks < 5:  # noqa: ASYNC110 - gives way to the watchdog, waits for nothing
            await asyncio.sleep(0)
    stopping.set()
    assert await task is None
    assert told == ["flood"]


def test_a_blocked_event_loop_ends_the_process() -> None:
    code = """
import asyncio, threading
from shared.watchdog import Patience, guard_event_loop
async def main():
    guard_event_loop(Patience(loop_looks=3, loop_look_every=0.05))
    await asyncio.sleep(0.5)
    print("alive", flush=True)
    threading.Event().wait(20)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=15, check=False)
    assert ended.returncode == 1
    assert "alive" in ended.stdout
