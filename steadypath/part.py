"""One supervised process: started, watched, started again when it dies, ended when we end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from steadypath.errors import CommandError

READY_WITHIN_SECONDS = 60.0
KEEP_LOG_BYTES = 20_000_000
#: Seconds before the next start after a part died again and again; it counts as well after a quiet minute.
BACK_OFF_SECONDS = (0.0, 0.2, 1.0, 2.0, 5.0, 10.0)
WELL_AFTER_SECONDS = 60.0


@dataclass(frozen=True)
class Recipe:
    """How a part is run. Everything that can differ from one start to the next is a function."""

    name: str
    command: Callable[[], list[str]]
    environment: Callable[[], Mapping[str, str]]
    ready: Callable[[], Awaitable[bool]]
    log: Path
    #: Work before each start that may take a while (in a thread).
    prepare: Callable[[], None] | None = None
    #: Takes the first line that the process writes to its standard output, where it announces something.
    announced: Callable[[str], None] | None = None
    stop_signal: int = signal.SIGTERM


class Part:
    """A recipe being run. `report` says one line to the operator; `group` is the reaper's process group."""

    def __init__(self, recipe: Recipe, *, group: Callable[[], int], report: Callable[[str], None]) -> None:
        self.recipe = recipe
        self.name = recipe.name
        self.on_new_start: Callable[[], Awaitable[None]] | None = None
        self._group = group
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self._asked_to_restart = False
        self._failures = 0
        self._started_at = 0.0
        self.up = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """The first start: returns when it is ready. Raises CommandError when it ends before that, with its last line."""
        await self._spawn()
        await self._until_ready(required=True)
        self._watch = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")

    async def restart(self, *, within: float) -> None:
        """End it (SIGTERM, then SIGKILL after `within` seconds): its supervisor starts it again with today's settings."""
        self._asked_to_restart = self.pid is not None
        await self._end(within)

    async def stop(self, *, within: float) -> None:
        """End it for good."""
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._end(within)

    async def _end(self, within: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(self.recipe.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self) -> None:
        if self.recipe.prepare is not None:
            await asyncio.to_thread(self.recipe.prepare)
        _rotate(self.recipe.log)
        with self.recipe.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.recipe.command(),
                env=dict(self.recipe.environment()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self.recipe.announced else log,
                stderr=log,
                process_group=self._group(),
            )
        self._started_at = time.monotonic()
        if self.recipe.announced is not None and self._process.stdout is not None:
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_WITHIN_SECONDS)
            if line:
                self.recipe.announced(line.decode("utf-8"))

    async def _until_ready(self, *, required: bool) -> None:
        until = time.monotonic() + READY_WITHIN_SECONDS
        while self._process is not None and self._process.returncode is None:
            if await self.recipe.ready():
                self.up = True
                return
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.03)
        if required:
            raise CommandError(f"{self.name} did not start: {last_line(self.recipe.log)} (all of it: {self.recipe.log})")

    async def _supervise(self) -> None:
        while True:
            assert self._process is not None
            code = await self._process.wait()
            self.up = False
            if self._stopping:
                return
            await self._pause_after(code)
            try:
                await self._spawn()
            except (CommandError, OSError, TimeoutError, ValueError) as error:
                self._report(f"{self.name} could not be started: {error}")
                continue
            await self._until_ready(required=False)
            if self.up and self.on_new_start is not None:
                await self.on_new_start()

    async def _pause_after(self, code: int) -> None:
        if self._asked_to_restart:
            self._asked_to_restart = False
            return
        if time.monotonic() - self._started_at > WELL_AFTER_SECONDS:
            self._failures = 0
        seconds = BACK_OFF_SECONDS[min(self._failures, len(BACK_OFF_SECONDS) - 1)]
        self._failures += 1
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        again = "starting it again" if not seconds else f"starting it again in {seconds:g} s"
        why = "" if code < 0 else f": {last_line(self.recipe.log)}"
        self._report(f"{self.name} {how}{why}; {again}")
        await asyncio.sleep(seconds)


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > KEEP_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def last_line(log: Path) -> str:
    """The log's last line of text: for a part that refuses its settings that is the reason. Logs hold nothing about patients."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4000))
            lines = [
                line
                for line in file.read().decode("utf-8", "replace").splitlines()
                if line.strip() and not line.startswith("(Background on")
            ]
    except OSError:
        lines = []
    return lines[-1].strip()[:300] if lines else "it said nothing"
