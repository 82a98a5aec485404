"""What the tests of messaging work with: real relays and consumers that can be started, stopped and asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.crypto import FieldCipher
from shared.db import make_engine
from shared.events.base import Event
from shared.events.due import DueWithdrawnV1
from shared.events.plans import PlanSnapshot, PlanStoppedV1
from shared.messaging.consumer import Consumer
from shared.messaging.counts import Counts
from shared.messaging.desk import Desk
from shared.messaging.handling import Handling
from shared.messaging.knobs import Knobs
from shared.messaging.locks import lock_keys
from shared.messaging.relay import Relay
from shared.messaging.unit import Handlers, Unit
from tests.support.parts import Database

CLINIC = UUID(int=1)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
QUICK = Knobs(
    retry_pauses=(0.01, 0.01),
    wait_pause=0.05,
    fetch_wait_ms=5,
    confirm_every=0,
    check_broker_every=0,
    publish_timeout=5,
    graceful=2,
    flood=3,
    stuck_after=1.0,
)


@dataclass
class HeldClock:
    """A clinical time that stands where the test put it."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


async def until(condition: Callable[[], Any], seconds: float = 40) -> None:
    """Waits for a condition (which may be a coroutine function); fails where it does not come."""
    end = monotonic() + seconds
    while True:
        held = condition()
        if isinstance(held, Coroutine):
            held = await held
        if held:
            return
        assert monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


def withdrawn(patient: UUID, number: int = 0) -> DueWithdrawnV1:
    """A small event; `number` tells one from another."""
    return DueWithdrawnV1(
        clinic_id=CLINIC, patient_id=patient, occurrence_id=UUID(int=number), plan_version=1, kind="dose-due", reason="test"
    )


def stopped(patient: UUID) -> PlanStoppedV1:
    """An event that bypasses parking."""
    plan = PlanSnapshot(plan_id=uuid4(), status="stopped", zone="Europe/Berlin", starts_on=NOON.date())
    return PlanStoppedV1(clinic_id=CLINIC, patient_id=patient, plan_version=2, plan=plan, reason="test")


@dataclass
class Heard:
    """Handlers that write down what they were given, and fail where they are told to."""

    events: list[tuple[UUID, int]] = field(default_factory=list)
    stops: list[UUID] = field(default_factory=list)
    fail: Callable[[DueWithdrawnV1], BaseException | None] = lambda _event: None
    on_event: Callable[[Unit, DueWithdrawnV1], Coroutine[Any, Any, None]] | None = None

    async def withdrawn(self, unit: Unit, event: DueWithdrawnV1) -> None:
        error = self.fail(event)
        if error is not None:
            raise error
        if self.on_event is not None:
            await self.on_event(unit, event)
        await unit.plan_work("heard", f"{event.patient_id}/{event.occurrence_id.int}", NOON + timedelta(days=1),
                             key=event.patient_id, clinic_id=event.clinic_id)  # fmt: skip
        self.events.append((event.patient_id, event.occurrence_id.int))

    async def stopped(self, unit: Unit, event: PlanStoppedV1) -> None:
        self.stops.append(event.patient_id)

    @property
    def handlers(self) -> Handlers:
        return {DueWithdrawnV1: self.withdrawn, PlanStoppedV1: self.stopped}

    def of(self, patient: UUID) -> list[int]:
        return [number for key, number in self.events if key == patient]


class Bench:
    """One test's database and broker."""

    def __init__(self, database: Database, bootstrap: str) -> None:
        self.database = database
        self.bootstrap = bootstrap
        self.clock = HeldClock()
        self.cipher = FieldCipher(bytes(32))
        self._engines: dict[str, AsyncEngine] = {}
        self._running: list[Consumer | Relay] = []

    def engine(self, service: str) -> AsyncEngine:
        if service not in self._engines:
            self._engines[service] = make_engine(self.database.url(service), service=service)
        return self._engines[service]

    def unit(self, conn: Any, service: str = "scheduler") -> Unit:
        return Unit(conn, now=self.clock.now(), service=service, cipher=self.cipher)

    async def say(self, *events: Event, service: str = "scheduler", event_id: UUID | None = None) -> list[UUID]:
        """Says the events in one transaction, patients locked first as rule 2 has it."""
        async with self.engine(service).begin() as conn:
            unit = self.unit(conn, service)
            await lock_keys(conn, service, [event.key for event in events])
            ids = [unit.emit(event, event_id=event_id) for event in events]
            await unit.flush()
        return ids

    def relay(self, service: str = "scheduler", knobs: Knobs = QUICK, bootstrap: Callable[[], str] | None = None) -> Relay:
        made = Relay(engine=self.engine(service), service=service, bootstrap=bootstrap or (lambda: self.bootstrap), knobs=knobs)
        self._running.append(made)
        return made

    def handling(self, heard: Heard, service: str = "notifier") -> Handling:
        return Handling(service, self.engine(service), self.clock, self.cipher, heard.handlers, Counts())

    def consumer(self, handling: Handling, knobs: Knobs = QUICK) -> Consumer:
        made = Consumer(handling, bootstrap=lambda: self.bootstrap, knobs=knobs)
        self._running.append(made)
        made.start()
        return made

    def desk(self, handling: Handling) -> Desk:
        return Desk(handling)

    async def publish_all(self, relay: Relay) -> int:
        published = 0
        while amount := await relay.run(self.clock.now()):
            published += amount
        return published

    async def query(self, statement: str, service: str = "notifier", **values: Any) -> Any:
        async with self.engine(service).connect() as conn:
            result = await conn.execute(text(statement.replace("~", f"{service}.")), values)
            return result.all()

    async def count(self, table: str, service: str = "notifier", where: str = "true") -> int:
        return int((await self.query(f"SELECT count(*) FROM ~{table} WHERE {where}", service))[0][0])

    async def raw(self, *records: dict[str, Any], topic: str = "due.v1") -> None:
        """Puts records on the topic as they are, past the relay."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        for record in records:
            await producer.send_and_wait(topic, **record)
        await producer.stop()

    async def close(self) -> None:
        for each in reversed(self._running):
            await each.stop()
        for engine in self._engines.values():
            await engine.dispose()


def with_flood(limit: int) -> Knobs:
    return replace(QUICK, flood=limit)
