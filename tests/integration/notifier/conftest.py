"""The simulator as a process, the notifier's webhook on a port, and a bench over both; all on one simulated clock."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from services.notifier.app import SPEC, router
from services.notifier.twilio_client import Provider
from shared.clock import ClockPage
from shared.health import Health
from shared.http.app import create_app
from shared.identity import bootstrap
from shared.loops import Loops
from shared.runtime import Runtime
from shared.settings import Settings
from tests.integration.notifier.bench import ACCOUNT, CLINIC, START, TOKEN, Bench, until
from tests.integration.notifier.texts_in import Door
from tests.support.parts import Database
from tests.support.phone import start_phone

KEY = "spk_00000000_a-key-of-this-test"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Place:
    """Where everything of one test is."""

    clock: ClockPage
    phone_port: int
    web_port: int
    environment: dict[str, str]

    @property
    def phone(self) -> str:
        return f"http://127.0.0.1:{self.phone_port}"


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Iterator[Place]:
    clock = ClockPage(tmp_path / "clock", start=START)
    phone_port, web_port = free_port(), free_port()
    environment = {
        "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "STEADYPATH_DATA_KEY": base64.b64encode(b"k" * 32).decode(),
        "STEADYPATH_CLOCK_PAGE": str(clock.path),
        "STEADYPATH_DATABASE_URL": database.url("notifier"),
        "STEADYPATH_TWILIO_ACCOUNT_SID": ACCOUNT,
        "STEADYPATH_TWILIO_AUTH_TOKEN": TOKEN,
        "STEADYPATH_TWILIO_API_BASE": f"http://127.0.0.1:{phone_port}",
        "STEADYPATH_PUBLIC_BASE_URL": f"http://127.0.0.1:{web_port}",
        "STEADYPATH_PHONE_LEDGER": str(tmp_path / "ledger.sqlite"),
    }
    yield Place(clock, phone_port, web_port, environment)
    clock.close()


@pytest.fixture
async def simulator(place: Place, tmp_path: Path) -> AsyncIterator[Place]:
    process = start_phone(place.phone_port, {"PATH": os.environ["PATH"], **place.environment}, tmp_path / "phone.log")
    await until(lambda: _answers(place.phone + "/readyz"), "the simulator is up")
    yield place
    process.kill()
    process.wait()


async def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        async with httpx.AsyncClient() as http:
            return (await http.get(url)).status_code == 200
    return False


@pytest.fixture
async def bench(simulator: Place) -> AsyncIterator[Bench]:
    runtime = Runtime(Settings.from_env("notifier", "both", simulator.environment))
    server = web(runtime, simulator.web_port)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started, "the webhook is up")
    made = Bench(runtime, simulator.phone, Provider(runtime.settings))
    await made.clinic()
    yield made
    await made.close()
    server.should_exit = True
    await serving
    await runtime.engine.dispose()


def web(runtime: Runtime, port: int) -> uvicorn.Server:
    """The notifier's HTTP surface, over real HTTP."""
    health = Health(runtime, Loops([], runtime.clock, runtime.metrics, simulated=True), None, SPEC.checks(runtime))
    health.starting = None
    app = create_app(runtime, health, [router(runtime)])
    return uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False))


@pytest.fixture
async def door(bench: Bench, place: Place) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(timeout=20) as http:
        yield Door(http, f"http://127.0.0.1:{place.web_port}")


@pytest.fixture
async def http(bench: Bench, place: Place) -> AsyncIterator[httpx.AsyncClient]:
    """The notifier's API, with a key that bears every role."""
    async with bench.runtime.unit() as unit:
        await bootstrap(unit.conn, "notifier", CLINIC, KEY, unit.now)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.web_port}/notifier", headers=headers, timeout=20) as client:
        yield client
