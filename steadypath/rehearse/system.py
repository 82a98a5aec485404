"""The throw-away system of one rehearsal: every process real, on a clock of its own, in a folder that is gone afterwards.

Only the database's durability is relaxed (fsync and the like); nothing of a real account or of a running system reaches it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp

from shared.clock import ClockPage
from shared.embedded.postgres import Postgres
from shared.events.registry import SERVICES
from steadypath.driver import Driver
from steadypath.folder import DataFolder
from steadypath.recipes import DATABASE, PHONE, Recipes
from steadypath.rehearse import cache
from steadypath.stack import Stack

#: What a clinician's text links to where the caller has not set STEADYPATH_PUBLIC_BASE_URL. The name is reserved (RFC 2606).
EXAMPLE_ORIGIN = "https://steadypath.example"


@dataclass
class System:
    """A running one. `started_in` machine seconds; `first_run` where the cluster had to be made."""

    stack: Stack
    driver: Driver
    session: aiohttp.ClientSession
    started_in: float
    first_run: bool

    @property
    def recipes(self) -> Recipes:
        return self.stack.recipes

    def base(self, part: str) -> str:
        """Where a part listens."""
        return self.recipes.base(part)

    @property
    def key(self) -> str:
        return self.recipes.keys.key

    def processes(self) -> dict[str, int]:
        """The services' process ids."""
        return {name: pid for name in SERVICES if (pid := self.stack.parts[name].pid) is not None}

    def records(self) -> int:
        """Kafka records that the services have published, as of the last quiet moment (offsets count from 0 in a new broker)."""
        return sum(last + 1 for snapshot in self.driver.latest.values() for last in snapshot.published.values())

    def transactions(self) -> int:
        """What PostgreSQL itself has counted in our database: commits and rollbacks."""
        said = self.recipes.postgres.sql(
            "select pg_stat_force_next_flush(); select xact_commit + xact_rollback from pg_stat_database where datname = :'name'",
            name=DATABASE,
        )
        return int(said.splitlines()[-1])


@asynccontextmanager
async def running(start: datetime, say: Callable[[str], None]) -> AsyncIterator[System]:
    """Everything started, the clock at `start` (aware), where it stands until the driver moves it. Raises CommandError."""
    began = time.monotonic()
    async with AsyncExitStack() as cleanup:
        place = Path(tempfile.mkdtemp(prefix="steadypath-rehearsal-"))
        cleanup.callback(shutil.rmtree, place, ignore_errors=True)
        session = await cleanup.enter_async_context(_session())

        def recipes(folder: DataFolder, server: Postgres) -> Recipes:
            return _recipes(folder, server, session)

        first_run = await asyncio.to_thread(cache.fresh_folder, place / "data", recipes)
        folder = DataFolder.at(place / "data")
        cleanup.callback(folder.give_up)
        page = ClockPage(folder.clock_page, start=start)
        cleanup.callback(page.close)
        stack = Stack(recipes(folder, Postgres(folder.postgres, durable=False)), lock=folder.own(), say=say)
        cleanup.push_async_callback(stack.stop)
        await stack.start()
        driver = Driver.of_parts(page, stack.recipes.base, session, key=stack.recipes.keys.key)
        yield System(stack, driver, session, time.monotonic() - began, first_run)


def _session() -> aiohttp.ClientSession:
    """Loopback only. Idle connections are given up before a service would close them."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)
    return aiohttp.ClientSession(connector=connector, trust_env=False)


def _recipes(folder: DataFolder, server: Postgres, session: aiohttp.ClientSession) -> Recipes:
    public = os.environ.get("STEADYPATH_PUBLIC_BASE_URL", "").rstrip("/") or EXAMPLE_ORIGIN
    recipes = Recipes(folder, folder.keys(None), public, True, session, server, passed_on=())
    inner = recipes.base("notifier")
    quiet = {name: {"LOG_LEVEL": "warning"} for name in SERVICES}
    # Webhooks are signed for the public address, which is nowhere, and go straight to the notifier.
    recipes.settings = quiet | {PHONE: {"PHONE_WEBHOOK_BASE": inner, "ORIGIN": inner}}
    return recipes
