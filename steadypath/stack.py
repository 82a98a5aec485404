"""An embedded stack while it lives: starts its parts, keeps them alive, tells the services of a new broker, ends them all."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

from shared.events.registry import SERVICES
from steadypath.part import Part
from steadypath.recipes import KAFKA, PHONE, POSTGRES, Recipes

_REAPER = Path(__file__).with_name("reaper.py")
#: A service drains when asked to end; at a new broker it is not waited for long: whatever it had not done is in PostgreSQL.
STOP_SECONDS = 4.5
NEW_BROKER_SECONDS = 2.0
POSTGRES_STOP_SECONDS = 3.0


class Stack:
    """The processes of one `up`. `say` is given one line for each thing that the operator should know."""

    def __init__(self, recipes: Recipes, *, lock: int, say: Callable[[str], None]) -> None:
        self.recipes = recipes
        self._lock = lock
        self._say = say
        self._group = 0
        self._reaper: asyncio.subprocess.Process | None = None
        self._reaper_watch: asyncio.Task[None] | None = None
        self._pipe: int | None = None
        self.parts: dict[str, Part] = {}

    async def start(self) -> None:
        """Everything, as much at once as can be. Raises CommandError naming the part that did not come up."""
        await self._start_reaper()
        self._reaper_watch = asyncio.create_task(self._keep_reaper(), name="keep the reaper")
        infra = (self.recipes.postgres_part(), self.recipes.kafka_part(), self.recipes.phone_part())
        for recipe in (*infra, *(self.recipes.service_part(service) for service in SERVICES)):
            self.parts[recipe.name] = Part(recipe, group=lambda: self._group, report=self._say)
        if self.recipes.migrated:  # nobody needs to wait for tables: services look for their database by themselves
            await _together(self._services_with_broker(), self._database(), self.parts[PHONE].start())
        else:
            await _together(self._database(), self.parts[KAFKA].start(), self.parts[PHONE].start())
            await self._services()
        self.parts[KAFKA].on_new_start = self._tell_of_new_broker

    async def stop(self) -> None:
        """Services first, while their database is there to finish with; then what they stood on."""
        services = [self.parts[name] for name in (*SERVICES, PHONE) if name in self.parts]
        await asyncio.gather(*(part.stop(within=STOP_SECONDS) for part in services))
        ground = [self.parts[name] for name in (KAFKA, POSTGRES) if name in self.parts]
        await asyncio.gather(*(part.stop(within=POSTGRES_STOP_SECONDS) for part in ground))
        await self._stop_reaper()

    async def _database(self) -> None:
        await self.parts[POSTGRES].start()
        await asyncio.to_thread(self.recipes.migrate)

    async def _services_with_broker(self) -> None:
        """Their settings name the broker's address."""
        await self.parts[KAFKA].start()
        await self._services()

    async def _services(self) -> None:
        await _together(*(self.parts[service].start() for service in SERVICES))

    async def _tell_of_new_broker(self) -> None:
        self._say(f"the new broker is at {self.recipes.kafka}; restarting the services with it")
        await asyncio.gather(*(self.parts[name].restart(within=NEW_BROKER_SECONDS) for name in SERVICES))

    async def _start_reaper(self) -> None:
        """The first one leads the group that all parts join; a later one joins it."""
        read, write = os.pipe()
        try:
            self._reaper = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(_REAPER),
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._lock,),
                process_group=self._group,
            )
        finally:
            os.close(read)
        if self._pipe is not None:
            os.close(self._pipe)
        self._pipe = write
        self._group = self._group or self._reaper.pid

    async def _keep_reaper(self) -> None:
        while self._reaper is not None:
            await self._reaper.wait()
            self._say("the reaper was ended; starting another")
            await self._start_reaper()
            await asyncio.sleep(0.2)

    async def _stop_reaper(self) -> None:
        if self._reaper_watch is not None:
            self._reaper_watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._reaper_watch
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._reaper is not None:
            await self._reaper.wait()


async def _together(*work: Coroutine[None, None, None]) -> None:
    """All at once; the first failure ends the others and is raised as it is."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
