"""Carries out what is due: statuses move, callbacks and inbound webhooks go out.

One task a message, so its callbacks leave in their order. As with Twilio, none waits for the answer to the one before: a text is
delivered whether or not somebody has heard that it was sent.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from shared.clock import Clock
from shared.logs import log
from steadypath.phone.network import Network
from steadypath.phone.state import Step
from steadypath.phone.webhooks import RETRY_AFTER, Answer, Webhooks, may_retry

#: How many webhooks may be under way at once, and how long (machine seconds) the loop sleeps at most.
PARALLEL = 16
IDLE = 1.0


class Pump:
    """Runs on clinical time: what is due now is done now, what is late is done when time has reached it."""

    def __init__(self, network: Network, webhooks: Webhooks, clock: Clock) -> None:
        self._network = network
        self._webhooks = webhooks
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._held: set[str] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Semaphore(PARALLEL)
        self._in_flight = 0

    def hold(self, sid: str) -> None:
        """Nothing of this message happens until `release`: Twilio calls back after its answer, not before."""
        self._held.add(sid)

    def release(self, sid: str) -> None:
        """The answer is out (or lost)."""
        self._held.discard(sid)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            self._launch()
            pause = self._pause(self._clock.now())
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def step(self, patience: float = 0.25) -> dict[str, Any]:
        """Starts all that is due, gives it a moment (machine seconds), and says where things stand."""
        self._launch()
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=patience)
        return self.snapshot()

    async def carry(self, sid: str) -> None:
        """Does what is due of one message now, and returns when that is done."""
        await asyncio.shield(self._start(sid))

    async def close(self) -> None:
        """Stops what is under way; it is still on the ledger as not done and goes on at the next start."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def snapshot(self) -> dict[str, Any]:
        """The stepping driver's view. `due` counts what is due and not done, requests under way included."""
        now = self._clock.now()
        due = [step.due for step in self._network.state.pending()]
        later = min((time for time in due if time > now), default=None)
        return {
            "now": now.isoformat(),
            "next_due": later.isoformat() if later else None,
            "due": sum(time <= now for time in due),
            "unsent": 0,
            "in_flight": self._in_flight,
            "parked": 0,
            "published": {},
            "consumed": {},
            "work": self._network.state.work,
        }

    def _pause(self, now: datetime) -> float:
        waits = [(step.due - now).total_seconds() for step in self._network.state.pending() if step.due > now]
        return min([IDLE, *waits])

    def _launch(self) -> None:
        now = self._clock.now()
        for sid in {step.sid for step in self._network.state.pending() if step.due <= now} - self._held:
            self._start(sid)

    def _start(self, sid: str) -> asyncio.Task[None]:
        task = self._running.get(sid)
        if task is None:
            task = self._running[sid] = asyncio.create_task(self._chain(sid))
            task.add_done_callback(lambda done: self._ended(sid, done))
        return task

    def _ended(self, sid: str, task: asyncio.Task[None]) -> None:
        self._running.pop(sid, None)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.failure("phone webhook task failed", error.exceptions[0] if isinstance(error, ExceptionGroup) else error)
        elif sid in self._network.state.steps:  # what came to be due while the task was ending
            self._wake.set()

    async def _chain(self, sid: str) -> None:
        begun: set[int] = set()
        async with asyncio.TaskGroup() as calls:
            while (step := self._network.state.next_step(sid, self._clock.now(), but=begun)) is not None:
                if step.kind == "status":
                    self._network.move(step)
                    continue
                begun.add(step.seq)
                left = asyncio.Event()
                calls.create_task(self._call(step, left))
                await left.wait()

    async def _call(self, step: Step, left: asyncio.Event) -> None:
        """One request and what it came to. `left`: it is out, or came to nothing."""
        message = self._network.state.messages[step.sid]
        async with self._room:
            self._in_flight += 1
            try:
                answer = await self._webhooks.post(step, message, left)
            finally:
                self._in_flight -= 1
                left.set()
        self._network.attempted(step, http=answer.http, error=answer.error, retry_at=self._retry_at(step, answer))
        for text in answer.texts:
            if self._network.is_opted_out(message.line, message.phone):
                break  # Twilio refuses a TwiML answer to one who left with 21610, like any other text
            self._network.reply(message.line, message.phone, text)

    def _retry_at(self, step: Step, answer: Answer) -> datetime | None:
        url = self._webhooks.url_of(step, self._network.state.messages[step.sid])
        if answer.failure is None or not may_retry(url, answer.failure, step.attempts):
            return None
        return self._clock.now() + RETRY_AFTER
