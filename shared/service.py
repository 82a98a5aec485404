"""What every service is made of and how one runs: `run(spec)` is all that `python -m services.<name>` calls.

Order of the start: health answers at once; the database is waited for; the schema is compared; then requests are taken, the
passes loop and the consumer connects, each on its own. Neither HTTP nor the passes wait for Kafka: without it the service is
unready, takes commands into its outbox, and goes on when the broker is back.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import uvicorn
from fastapi import APIRouter
from sqlalchemy import MetaData

from shared import logs, simulation, tracing
from shared.health import Health, OwnCheck
from shared.http import desk, keys, ops
from shared.http.app import create_app
from shared.logs import log
from shared.loops import Loops
from shared.messaging.counts import Counts
from shared.messaging.unit import Fires, Handlers, Pass
from shared.messaging.work import KEY_PARKED
from shared.ops import OpsPass, ops_say
from shared.restore.process import Recollection, WayBack, refuse_unnoticed
from shared.rotation import SealedTable, before_serving
from shared.runtime import Runtime
from shared.settings import Role, Settings, SettingsError
from shared.startup import NotStarted, bootstrap_key, check_schema, wait_for_database
from shared.watchdog import Watchdog, guard_event_loop
from shared.worker import Worker, handling_of

__all__ = ["Pass", "Runtime", "ServiceSpec", "run"]

#: From SIGTERM to the end, machine seconds, in all; each part ends well before.
STOP_WITHIN = 10.0
_HTTP_GRACE = 3
_PASS_GRACE = 5.0
_PARTS_GRACE = 6.5
_CLOSE_GRACE = 2.0


def _no_passes(_runtime: Runtime) -> Sequence[Pass]:
    return ()


def _no_checks(_runtime: Runtime) -> Sequence[OwnCheck]:
    return ()


def _no_alarm() -> str | None:
    return None


@dataclass(frozen=True)
class ServiceSpec:
    """A service, declared. Built in services/<name>/app.py and nowhere else."""

    name: str
    handlers: Handlers
    fires: Fires
    tables: MetaData
    router: Callable[[Runtime], APIRouter]
    passes: Callable[[Runtime], Sequence[Pass]] = _no_passes
    on_start: Callable[[Runtime], Awaitable[None]] | None = None
    #: Optional settings that this service cannot do without, by field of `Settings`.
    needs: Sequence[str] = ()
    #: What it seals beside what every service does; a change of the data key seals it again.
    sealed: Sequence[SealedTable] = ()
    #: What is its own on the way back from a restored database.
    recollection: Callable[[Runtime], Recollection] | None = None
    #: What this service shows at /readyz beside what all of them do.
    checks: Callable[[Runtime], Sequence[OwnCheck]] = _no_checks
    #: Static pages at the root of the origin (the care board).
    pages: Callable[[], APIRouter] | None = None


def run(spec: ServiceSpec, argv: Sequence[str] | None = None) -> None:
    """Runs the service until SIGTERM or SIGINT. Exit codes: 0 stopped, 1 refused to start or stuck, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{spec.name}")
    parser.add_argument("--role", choices=get_args(Role), default="both", help="worker: Kafka and due work; web: the API; both")
    role: Role = parser.parse_args(argv).role
    try:
        settings = Settings.from_env(spec.name, role)
        settings.need(*spec.needs)
        listening = _listen(settings)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    logs.configure(spec.name, role, settings.log_level)
    tracing.configure(settings)
    code = asyncio.run(Process(spec, settings, listening).main())
    tracing.close()
    sys.exit(code)


def _listen(settings: Settings) -> socket.socket:
    """The listening socket, opened before anything else: a taken port is a wrong setting, said in one line."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol named, or asyncio leaves Nagle's algorithm on: an answer in two writes then waits 40 ms for an ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError:
        raise SettingsError("STEADYPATH_PORT", "a free port of this machine, with STEADYPATH_HOST one of its addresses") from None
    return listening


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process stops its parts in one order."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Process:
    """One running process of a service."""

    def __init__(self, spec: ServiceSpec, settings: Settings, listening: socket.socket) -> None:
        self._spec = spec
        self._listening = listening
        self._stopping = asyncio.Event()
        self.runtime = Runtime(settings)
        self._handling = handling_of(self.runtime, spec.handlers, Counts())
        self._worker = Worker(self.runtime, self._handling, spec.fires) if settings.role != "web" else None
        passes = [*self._worker.passes, self._ops_pass(), *spec.passes(self.runtime)] if self._worker else []
        self._loops = Loops(passes, self.runtime.clock, self.runtime.metrics, simulated=settings.simulated)
        self.runtime.wakes(self._loops.wake)
        self._consumer = self._worker.consumer if self._worker else None
        self._health = Health(self.runtime, self._loops, self._consumer, spec.checks(self.runtime))
        self._server = _Server(self._config())

    def _ops_pass(self) -> OpsPass:
        return OpsPass(self.runtime, tells_clinic=KEY_PARKED in self._spec.fires)

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            create_app(self.runtime, self._health, self._routers(), self._pages()),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=_HTTP_GRACE,
        )

    def _routers(self) -> list[APIRouter]:
        """What is asked most often comes first: routes are tried in their order."""
        runtime = self.runtime
        routers = []
        if self._worker is not None and runtime.settings.simulated:
            stepper = simulation.Stepper(runtime, self._loops, self._consumer, handled=self._worker.consumer.handled)
            routers.append(simulation.router(stepper))
        if runtime.settings.role != "worker":
            routers += [
                keys.router(runtime),
                ops.router(runtime),
                desk.router(runtime, self._handling),
                self._spec.router(runtime),
            ]
        return routers

    def _pages(self) -> list[APIRouter]:
        if self._spec.pages is None or self.runtime.settings.role == "worker":
            return []
        return [self._spec.pages()]

    async def main(self) -> int:
        """The exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        unguard = guard_event_loop()
        serving = asyncio.create_task(self._server.serve(sockets=[self._listening]), name="http")
        try:
            code = await self._work()
        except NotStarted as error:
            sys.stderr.write(f"error: {error}\n")
            log.failure("not started", error)
            code = 1
        finally:
            self._health.starting = "stopping"
            await self._end(serving)
            unguard()
        log("stopped", code=code)
        return code

    def _stop(self, number: signal.Signals) -> None:
        log("stopping", signal=number.name.lower())
        self._stopping.set()
        self._server.should_exit = True
        # Whatever hangs then (a driver, a thread), what is not committed is done again by the next process.
        last_resort = threading.Timer(STOP_WITHIN - 0.5, os._exit, (1,))
        last_resort.daemon = True
        last_resort.start()

    async def _work(self) -> int:
        if not await wait_for_database(self.runtime, self._stopping):
            return 0
        await check_schema(self.runtime)
        await bootstrap_key(self.runtime)
        await before_serving(self.runtime.engine, self._spec.name, self._spec.sealed, self.runtime.cipher)
        if not await self._find_way_back():
            return 0
        if self._spec.on_start is not None:
            await self._spec.on_start(self.runtime)
        self._health.starting = None
        log("started", port=self.runtime.settings.port)
        alarm = self._worker.alarm if self._worker is not None else _no_alarm
        watchdog = Watchdog(self._health, self._loops, self._consumer, tell_ops=self._say_stuck, alarm=alarm)
        parts = [asyncio.create_task(self._loops.run(self._stopping, _PASS_GRACE), name="passes")]
        if self._worker is not None:
            parts.append(asyncio.create_task(self._worker.run(self._stopping), name="consumer"))
        watching = asyncio.create_task(watchdog.run(self._stopping), name="watchdog")
        return await self._until_over(parts, watching)

    async def _find_way_back(self) -> bool:
        """A database that was restored is reconciled first; one that was, and of which nobody said so, is refused. False where
        the process was told to stop meanwhile."""
        if self._spec.recollection is None:
            return True
        works = self._worker is not None
        if works:
            await refuse_unnoticed(self.runtime)
        way = WayBack(self.runtime, self._spec.handlers, self._spec.recollection(self.runtime), self._waits_for)
        return await way.run(self._stopping, works=works)

    def _waits_for(self, what: str) -> None:
        self._health.starting = what

    async def _until_over(self, parts: Sequence[asyncio.Task[None]], watching: asyncio.Task[str | None]) -> int:
        """Stopped: 0. Something stuck, or a part that ended by itself: 1, to be started again."""
        await asyncio.wait([*parts, watching], return_when=asyncio.FIRST_COMPLETED)
        asked = self._stopping.is_set()
        self._stopping.set()
        self._health.starting = "stopping"
        done, late = await asyncio.wait([*parts, watching], timeout=_PARTS_GRACE)
        for task in late:
            log.warning("cut off at the stop", name=task.get_name())
            task.cancel()
        for task in done:
            error = task.exception()
            if error is not None:
                log.failure("part ended", error, name=task.get_name())
        return 0 if asked else 1

    async def _end(self, serving: asyncio.Task[None]) -> None:
        self._server.should_exit = True
        await asyncio.wait([serving], timeout=_HTTP_GRACE + 1)
        try:
            async with asyncio.timeout(_CLOSE_GRACE):
                if self._worker is not None:
                    await self._worker.close()
                await self.runtime.engine.dispose()
        except TimeoutError:
            log.warning("connections not closed in time")

    async def _say_stuck(self, what: str) -> None:
        async with self.runtime.unit() as unit:
            # Started again and stuck again within the hour is the same thing to mend.
            hour = unit.now.strftime("%Y-%m-%dT%H")
            await ops_say(unit, "stuck", {"service": self._spec.name, "what": what}, dedup=f"{what}/{hour}")
