"""The scheduler in this process on real PostgreSQL: its HTTP surface over ASGI, its passes by hand, time on a page. No broker:
what it says is read from its outbox, in the order in which the relay would send it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from services.scheduler.app import SPEC
from shared.clock import ClockPage
from shared.db import tables_of
from shared.events.base import Event, stable_id
from shared.events.registry import EVENTS
from shared.health import Health
from shared.http.app import create_app
from shared.identity import clinic_id_of
from shared.loops import Loops
from shared.messaging.counts import Counts
from shared.runtime import Runtime
from shared.settings import Settings
from shared.startup import bootstrap_key
from shared.worker import Worker, handling_of
from tests.support.parts import Database

#: A Sunday evening in New York.
START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
KEY = "spk_test_" + "x" * 40
CLINIC = clinic_id_of("clinic")
Json = dict[str, Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class House:
    runtime: Runtime
    clock: ClockPage
    worker: Worker
    http: httpx.AsyncClient
    _read: int = field(default=0)

    async def call(
        self, method: str, path: str, body: Any = None, expect: int = 200, headers: dict[str, str] | None = None
    ) -> Json:
        answer = await self.http.request(method, f"/scheduler{path}", json=body, headers=headers)
        assert answer.status_code == expect, f"{answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    async def put(self, patient: str, plan: Json, expect: int = 200) -> Json:
        return await self.call("PUT", f"/patients/{patient}/plan", plan, expect)

    async def fire(self) -> int:
        """The ticker at the present instant."""
        ticker = next(one for one in self.worker.passes if one.name == "ticker")
        return await ticker.run(self.clock.now())

    async def next_due(self) -> datetime | None:
        ticker = next(one for one in self.worker.passes if one.name == "ticker")
        return await ticker.next_due()

    async def jump(self, to: datetime) -> None:
        """As after an outage: nothing fires on the way."""
        self.clock.set(to)
        await self.fire()

    async def run_to(self, end: datetime) -> None:
        """As the driver does it: from one due moment to the next."""
        await self.fire()
        while (due := await self.next_due()) is not None and due <= end:
            await self.jump(max(due, self.clock.now()))
        self.clock.set(end)
        await self.fire()

    async def run_for(self, **how: float) -> None:
        await self.run_to(self.clock.now() + timedelta(**how))

    async def said(self) -> list[Event]:
        """What has been said since the last question."""
        outbox = tables_of("scheduler").outbox
        async with self.runtime.engine.connect() as conn:
            rows = (await conn.execute(select(outbox).where(outbox.c.seq > self._read).order_by(outbox.c.seq))).all()
        self._read = max((row.seq for row in rows), default=self._read)
        return [EVENTS[row.type].model_validate(json.loads(row.body)) for row in rows]

    async def types(self) -> list[str]:
        return [event.type for event in await self.said()]

    async def hear(self, *events: Event) -> None:
        """Events handled, a batch in one transaction under the patient locks, as the delivery does it."""
        async with self.runtime.unit() as unit:
            await unit.lock(*(event.key for event in events))
            for event in events:
                await SPEC.handlers[type(event)](unit, event)

    async def rows(self, sql: str) -> list[Any]:
        async with self.runtime.engine.connect() as conn:
            return list((await conn.execute(text(sql))).all())


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    page = tmp_path / "clock"
    ClockPage(page, start=START).close()
    env = {
        "STEADYPATH_DATABASE_URL": database.url("scheduler"),
        "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "STEADYPATH_DATA_KEY": base64.b64encode(b"k" * 32).decode(),
        "STEADYPATH_KEY": KEY,
        "STEADYPATH_CLOCK_PAGE": str(page),
    }
    runtime = Runtime(Settings.from_env("scheduler", "both", env))
    worker = Worker(runtime, handling_of(runtime, SPEC.handlers, Counts()), SPEC.fires)
    loops = Loops([], runtime.clock, runtime.metrics, simulated=True)
    await bootstrap_key(runtime)
    health = Health(runtime, loops, None)
    health.starting = None
    app = create_app(runtime, health, [SPEC.router(runtime)])
    assert isinstance(runtime.clock, ClockPage)
    transport, headers = httpx.ASGITransport(app), {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://scheduler", headers=headers) as http:
        yield House(runtime, runtime.clock, worker, http)
    await runtime.engine.dispose()


def a_plan(**parts: Any) -> Json:
    """One tablet at 08:00 in New York from Monday on."""
    body: Json = {
        "zone": "America/New_York",
        "starts_on": "2026-11-23",
        "slots": {"morning": "08:00"},
        "medicines": [a_medicine()],
    }
    return body | parts


def a_medicine(external: str = "m1", *steps: Json, **parts: Any) -> Json:
    one = {"from_day": 1, "doses": [a_dose()]}
    return {"id": external, "steps": list(steps) or [one]} | parts


def a_dose(slot: str = "morning", quantity: str = "1", **more: Any) -> Json:
    return {"slot": slot, "quantity": quantity, "unit": "tablet"} | more


def patient(external: str) -> UUID:
    return stable_id(CLINIC, "patient", external)


def medication(external: str, medicine: str = "m1") -> UUID:
    return stable_id(CLINIC, "medication", external, medicine)
