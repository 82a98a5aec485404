"""`steadypath up`: everything embedded behind one origin, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvicorn

from shared.clock import ClockPage, machine_now
from shared.embedded.postgres import Postgres, PostgresError
from shared.events.registry import SERVICES
from steadypath import sample, state
from steadypath.driver import Driver, NotQuietError
from steadypath.edge import application
from steadypath.errors import DONE, CommandError
from steadypath.folder import DataFolder, Keys
from steadypath.recipes import DATABASE, KAFKA, POSTGRES, Recipes
from steadypath.stack import Stack


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    data: Path
    port: int
    sample: bool
    fast_forward: bool
    as_json: bool


class _Server(uvicorn.Server):
    """Signals are the launcher's: it ends the services before the origin that they are reached by."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(options: Options) -> int:
    """Until a signal; exit code 0 then. Raises CommandError where it cannot start."""
    listener = _listen(options.port)
    folder = DataFolder.at(options.data)
    lock = folder.own()
    page = _clock(folder, fast_forward=options.fast_forward)
    keys = folder.keys(os.environ.get("STEADYPATH_KEY"))
    return asyncio.run(_run(options, folder, keys, page, lock, listener))


def _listen(port: int) -> socket.socket:
    """The origin's socket, bound first: a taken port is found before anything has been started."""
    # With its protocol named, or asyncio leaves Nagle's algorithm on: an answer in two writes then waits 40 ms for an ACK.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise CommandError(f"port {port} is taken ({error.strerror}): end what uses it, or choose another with --port") from error
    return listener


def _clock(folder: DataFolder, *, fast_forward: bool) -> ClockPage | None:
    if fast_forward:
        return ClockPage(folder.clock_page, start=machine_now().replace(microsecond=0))
    if folder.clock_page.exists():
        raise CommandError(
            f"{folder.path} was used with --fast-forward, so it never runs on real time: add --fast-forward or another --data"
        )
    return None


async def _run(
    options: Options, folder: DataFolder, keys: Keys, page: ClockPage | None, lock: int, listener: socket.socket
) -> int:
    asked_to_stop = _on_signals()
    async with AsyncExitStack() as cleanup:
        session = await cleanup.enter_async_context(_session())
        try:
            postgres = Postgres(folder.postgres)
        except PostgresError as error:
            raise CommandError(str(error)) from error
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        recipes = Recipes(folder, keys, origin, options.fast_forward, session, postgres)
        stack = Stack(recipes, lock=lock, say=_say)
        driver = None if page is None else Driver.of_parts(page, recipes.base, session, key=keys.key)
        server, serving = _serve(recipes, stack, session, driver, listener)
        try:
            await _first_of(_start(options, stack, driver), asked_to_stop)
            await asked_to_stop.wait()
        finally:
            await stack.stop()
            server.should_exit = True
            await serving
            state.forget(origin)
    return DONE


def _session() -> aiohttp.ClientSession:
    """For the proxy and the steps: bodies pass as they are, and connections are let go before uvicorn closes them (5 s)."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=3)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())


def _serve(
    recipes: Recipes, stack: Stack, session: aiohttp.ClientSession, driver: Driver | None, listener: socket.socket
) -> tuple[_Server, asyncio.Task[None]]:
    def ground() -> dict[str, bool]:
        return {name: name in stack.parts and stack.parts[name].up for name in (POSTGRES, KAFKA)}

    app = application(recipes.base, session, driver, ground)
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    return server, asyncio.create_task(server.serve(sockets=[listener]), name="origin")


async def _start(options: Options, stack: Stack, driver: Driver | None) -> None:
    recipes = stack.recipes
    await stack.start()
    running = state.Running(recipes.origin, recipes.keys.key)
    await sample.first_time(recipes.folder, running, with_sample=options.sample)
    if driver is not None:
        await _settle(driver)
    state.remember(recipes.origin, recipes.keys.key, recipes.folder.path)
    _announce(options, recipes, driver)


async def _settle(driver: Driver) -> None:
    """What the last run left undone and what the sample has just planned; a part that is stuck is named."""
    try:
        await driver.settle()
    except NotQuietError as error:
        _say(f"not quiet yet: {error}")


async def _first_of(start: Coroutine[None, None, None], asked_to_stop: asyncio.Event) -> None:
    """The start, unless the operator does not want to wait for its end."""
    starting = asyncio.create_task(start)
    stopping = asyncio.create_task(asked_to_stop.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
    else:
        starting.cancel()
        await asyncio.wait((starting,))


def _on_signals() -> asyncio.Event:
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    return asked


def _announce(options: Options, recipes: Recipes, driver: Driver | None) -> None:
    origin = recipes.origin
    facts = {
        "origin": origin,
        "board": f"{origin}/board",
        "phone": f"{origin}/phone",
        "docs": [f"{origin}/{service}/openapi.json" for service in SERVICES],
        "key": recipes.keys.key,
        "kafka": recipes.kafka,
        "database": recipes.postgres.url(database=DATABASE),
    }
    if options.as_json:
        print(json.dumps(facts), flush=True)
        return
    time = f"{driver.now:%A %d %B %Y, %H:%M} UTC, standing still until advanced" if driver else "real time"
    lines = [
        "Steadypath is up.",
        "",
        f"  phones   {facts['phone']}",
        f"  board    {facts['board']}",
        f"  start    {origin}/",
        f"  key      {recipes.keys.key}",
        f"  time     {time}",
        f"  data     {recipes.folder.path}",
        "",
        "Ctrl-C stops it; the next `up` comes back with everything.",
    ]
    print("\n".join(lines), flush=True)


def _say(line: str) -> None:
    print(f"steadypath: {line}", file=sys.stderr, flush=True)
