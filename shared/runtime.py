"""What a service's own code may use of its process: settings, clock, database, cipher, log, metrics, a unit, a wake-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import Clock, clock_from
from shared.crypto import FieldCipher
from shared.db import make_engine, reader
from shared.http import commands
from shared.http.commands import Store
from shared.logs import Log, log
from shared.messaging.unit import Unit
from shared.metrics import Metrics
from shared.settings import Settings


class Runtime:
    """One process of one service."""

    settings: Settings
    clock: Clock
    engine: AsyncEngine
    cipher: FieldCipher
    log: Log
    metrics: Metrics

    def __init__(self, settings: Settings, *, clock: Clock | None = None, engine: AsyncEngine | None = None) -> None:
        self.settings = settings
        self.clock = clock or clock_from(settings)
        self.engine = engine or make_engine(settings.database_url, service=settings.service)
        #: For single reads: each statement stands for itself.
        self.reader = reader(self.engine)
        self.cipher = FieldCipher.of(settings.data_key)
        self.log = log
        self.metrics = Metrics()
        self.store = Store(settings.service, self.engine, self.cipher)
        #: Requests under way that may change something.
        self.commands_in_flight = 0
        #: Commands carried out since the start, for the simulation's snapshot.
        self.commands_done = 0
        #: Rises with every wake-up and every request that may have changed something: what was read before may be stale.
        self.changes = 0
        #: Set with every such change, and when a text's request ends; who waits for one clears it first.
        self.stirred = asyncio.Event()
        self._wake: Callable[[str], None] | None = None

    def wakes(self, wake: Callable[[str], None]) -> None:
        """Whom `wake` tells; set once the passes exist."""
        self._wake = wake

    def wake(self, name: str) -> None:
        """Makes the named pass look now instead of within a second."""
        self.changed()
        if self._wake is not None:
            self._wake(name)

    def changed(self) -> None:
        """Something may be otherwise from now on, or under way no more."""
        self.changes += 1
        self.stirred.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        """A unit whose statements stand alone: for a pass that only looks. Nothing said in it is kept."""
        async with self.reader.connect() as conn:
            yield Unit(conn, now=self.clock.now(), service=self.settings.service, cipher=self.cipher)

    @asynccontextmanager
    async def unit(self, *, correlation_id: UUID | None = None) -> AsyncIterator[Unit]:
        """One transaction for a command or a pass: commits on exit, rolls back on an exception, then wakes what it woke.

        Inside a command it also claims the Idempotency-Key and writes the audit row, so that effect, claim and record are one.
        """
        command = commands.current()
        if command is not None:
            correlation_id = correlation_id or command.correlation_id
        async with self.engine.begin() as conn:
            unit = Unit(
                conn, now=self.clock.now(), service=self.settings.service, cipher=self.cipher, correlation_id=correlation_id
            )
            if command is not None:
                await commands.enter(command, unit)
            yield unit
            await unit.flush()
            if command is not None:
                await commands.leave(command, unit)
        if command is not None and command.caller is not None:
            command.claimed = True
            self.commands_done += 1
        unit.buffers.committed(self.wake)
