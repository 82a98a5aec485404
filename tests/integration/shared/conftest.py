"""A service in this process (its HTTP surface over ASGI, its passes by hand), and one as a process of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from shared import simulation
from shared.clock import ClockPage
from shared.health import Health
from shared.http import desk, keys, ops
from shared.http.app import create_app
from shared.loops import Loops
from shared.messaging.counts import Counts
from shared.ops import OpsPass
from shared.runtime import Runtime
from shared.settings import Settings
from shared.startup import bootstrap_key
from shared.worker import Worker, handling_of
from tests.support.parts import Database
from tests.support.toy import KEY, Toy, prepare
from tests.support.waiting import wait_until

START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
DATA_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class House:
    """The toy service without its broker."""

    database: Database
    toy: Toy
    runtime: Runtime
    clock: ClockPage
    health: Health
    worker: Worker
    loops: Loops
    http: httpx.AsyncClient


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings of a service, but for the database."""
    page = tmp_path / "clock"
    ClockPage(page, start=START).close()
    return {
        "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "STEADYPATH_DATA_KEY": DATA_KEY,
        "STEADYPATH_KEY": KEY,
        "STEADYPATH_CLOCK_PAGE": str(page),
    }


@pytest.fixture
def address(empty_database: Database) -> str:
    """Of a database with the shared tables in it, as the toy's role."""
    return asyncio.run(prepare(empty_database))


@pytest.fixture
async def house(empty_database: Database, address: str, environment: dict[str, str]) -> AsyncIterator[House]:
    settings = Settings.from_env("scheduler", "both", {**environment, "STEADYPATH_DATABASE_URL": address})
    runtime, toy = Runtime(settings), Toy()
    spec = toy.spec()
    handling = handling_of(runtime, spec.handlers, Counts())
    worker = Worker(runtime, handling, spec.fires)
    ticker, _relay = worker.passes
    loops = Loops([ticker, OpsPass(runtime)], runtime.clock, runtime.metrics, simulated=True)
    health = Health(runtime, loops, None)
    health.starting = None
    await bootstrap_key(runtime)
    stepper = simulation.Stepper(runtime, loops, None, handled=lambda: 0)
    routers = [
        keys.router(runtime),
        ops.router(runtime),
        desk.router(runtime, handling),
        spec.router(runtime),
        simulation.router(stepper),
    ]
    app = create_app(runtime, health, routers)
    assert isinstance(runtime.clock, ClockPage)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://toy", headers={"Authorization": f"Bearer {KEY}"}
    ) as http:
        yield House(empty_database, toy, runtime, runtime.clock, health, worker, loops, http)
    await runtime.engine.dispose()


@dataclass
class Running:
    """The toy as a process."""

    process: subprocess.Popen[str]
    url: str

    def until(self, wanted: Callable[[httpx.Response], bool], path: str = "/readyz", seconds: float = 40.0) -> httpx.Response:
        """Asks until the answer is the wanted one; the last answer. Fails when it does not come in time."""
        last: list[httpx.Response] = []

        def asked() -> bool:
            assert self.process.poll() is None, "the process ended"
            try:
                last[:] = [httpx.get(self.url + path, timeout=5)]
            except httpx.TransportError:
                return False
            return wanted(last[0])

        wait_until(asked, within=seconds, what=f"{path} answers as wanted")
        return last[0]

    def output(self) -> str:
        """Everything it wrote, once it has ended."""
        return self.process.communicate(timeout=20)[0]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Running]]:
    """Starts the toy with these settings more; whatever still runs at the end is killed."""
    with ExitStack() as stack:

        def begin(*arguments: str, **more: str) -> Running:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            settings = {**environment, "STEADYPATH_PORT": str(port), **more}
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.toy", *arguments],
                cwd=ROOT,
                env={**os.environ, **{name: value for name, value in settings.items() if value}},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Running(process, f"http://127.0.0.1:{port}")

        yield begin
