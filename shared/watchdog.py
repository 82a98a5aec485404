"""Notices a process that stands still: a pass that never comes back, a consumer that reads nothing while records wait, an event
loop that is blocked. First the process says that it is unready, then it ends, to be started again (aiokafka has no recovery from
some states and says so to nobody: reference reliability.md 4, #1154, #703)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from shared.health import Consumer, Health
from shared.logs import log

if TYPE_CHECKING:
    from shared.loops import Loops


@dataclass(frozen=True)
class Patience:
    """Machine seconds. What is stuck has been so for a minute already (loops.STUCK_AFTER, Knobs.stuck_after)."""

    look_every: float = 1.0
    #: From unready to the end of the process: time for a load balancer to notice and for the cause to pass.
    grace: float = 15.0
    #: The event loop itself did not turn for so long, counted in looks so that a suspended process is not blamed.
    loop_looks: int = 12
    loop_look_every: float = 5.0


class Watchdog:
    """Runs beside everything else. `run` returns what is stuck, once it has been so for good; then the process must end."""

    def __init__(
        self,
        health: Health,
        loops: Loops,
        consumer: Consumer | None,
        *,
        tell_ops: Callable[[str], Awaitable[None]],
        alarm: Callable[[], str | None],
        patience: Patience | None = None,
    ) -> None:
        self._health = health
        self._loops = loops
        self._consumer = consumer
        self._tell_ops = tell_ops
        self._patience = patience or Patience()
        self._alarm = alarm
        self._alarmed = False
        self._since: float | None = None

    def stuck(self) -> str | None:
        """The name of what stands still, or None."""
        if self._consumer is not None and self._consumer.stuck_for() > 0:
            return "consumer"
        return next(iter(self._loops.stuck()), None)

    async def run(self, stopping: asyncio.Event) -> str | None:
        """Until `stopping` (None), or until something has been stuck beyond the grace (its name)."""
        while not stopping.is_set():
            what = self.stuck()
            if what is None:
                self._since, self._health.given_up = None, None
            elif self._since is None:
                await self._notice(what)
            elif monotonic() - self._since > self._patience.grace:
                log.error("stuck for good", name=what)
                return what
            await self._heed_alarm()
            await _pause(stopping, self._patience.look_every)
        return None

    async def _heed_alarm(self) -> None:
        """Ops hears once of what starting again would not mend; /readyz goes on saying it."""
        what = self._alarm()
        if what is not None and not self._alarmed:
            await self._tell(what)
        self._alarmed = what is not None

    async def _notice(self, what: str) -> None:
        self._since, self._health.given_up = monotonic(), what
        log.error("stuck", name=what)
        await self._tell(what)

    async def _tell(self, what: str) -> None:
        try:
            async with asyncio.timeout(5):
                await self._tell_ops(what)
        except Exception as error:  # the notice is extra: being unready and ending do not depend on it
            log.failure("ops not told", error)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def guard_event_loop(patience: Patience | None = None) -> Callable[[], None]:
    """Ends the process (code 1) when its event loop stops turning: nothing inside the loop could. Returns the way to stop it."""
    patience = patience or Patience()
    loop = asyncio.get_running_loop()
    turned, over = threading.Event(), threading.Event()

    def look() -> None:
        missed = 0
        while not over.wait(patience.loop_look_every):
            missed = 0 if turned.is_set() else missed + 1
            turned.clear()
            if missed >= patience.loop_looks:
                log.error("event loop blocked")
                os._exit(1)
            try:
                loop.call_soon_threadsafe(turned.set)
            except RuntimeError:
                return  # the loop is closed: the process is ending

    turned.set()
    threading.Thread(target=look, name="event loop guard", daemon=True).start()
    return over.set
