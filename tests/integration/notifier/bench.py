"""A notifier in this process on a real PostgreSQL, with the phone simulator as its provider: what tests of sending stand on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select

from services.notifier.app import HANDLERS
from services.notifier.domain.templates import load
from services.notifier.reconcile import Reconciler
from services.notifier.sender import Sender
from services.notifier.storage import contact_rows, messages
from services.notifier.storage.hearing_tables import clinic_settings, consent, contact
from services.notifier.storage.messages import Message
from services.notifier.storage.tables import attempt
from services.notifier.twilio_client import Provider
from shared.clock import ClockPage
from shared.db import tables_of
from shared.events.base import Envelope, Event, stable_id
from shared.events.due import DoseDueV1
from shared.events.plans import PlanSnapshot, PlanStartedV1
from shared.messaging.unit import Unit
from shared.runtime import Runtime

CLINIC = stable_id("clinic", "clinic")
LINE = "+15005550006"
ACCOUNT, TOKEN = "AC" + "a" * 32, "a-token-of-this-test"
ZONE = "America/New_York"
#: 08:00 in New York.
START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
_LINES = count(100)


@dataclass(frozen=True)
class Someone:
    id: UUID
    number: str


@dataclass
class Bench:
    """`phone` is the simulator's address. Passes are run by hand, so that a test says what happens when."""

    runtime: Runtime
    phone: str
    provider: Provider
    sender: Sender = field(init=False)
    reconciler: Reconciler = field(init=False)
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.sender = Sender(self.runtime, self.provider, load())
        self.reconciler = Reconciler(self.runtime, self.provider)
        self.http = httpx.AsyncClient(base_url=self.phone, timeout=20)

    async def close(self) -> None:
        await self.sender.close()
        await self.provider.close()
        await self.http.aclose()

    @property
    def now(self) -> datetime:
        return self.runtime.clock.now()

    # --- who there is -------------------------------------------------------------------------------------------------

    async def clinic(self) -> None:
        async with self.runtime.unit() as unit:
            await unit.conn.execute(
                clinic_settings.insert().values(
                    clinic_id=CLINIC, name="C", zone=ZONE, country="US", sender=LINE, language="en", changed_at=unit.now
                )
            )

    async def patient(self, *, plan: bool = True, **changes: Any) -> Someone:
        """Somebody with consent, and (unless told otherwise) an active plan of version 1 in New York."""
        someone = await self._person("patient", **({"welcomed_at": self.now if plan else None} | changes))
        async with self.runtime.unit() as unit:
            words = {name: unit.cipher.seal("x", table="consent", column=name, row=someone.id) for name in ("how", "to_whom")}
            sealed = {f"{name}_sealed": blob for name, blob in words.items()}
            values = {"id": uuid4(), "clinic_id": CLINIC, "contact_id": someone.id, "given_on": unit.now.date()}
            await unit.conn.execute(consent.insert().values(**values, **sealed, recorded_at=unit.now))
        if plan:
            await self.plan(someone)
        return someone

    async def staff(self, **changes: Any) -> Someone:
        return await self._person("care-team", **({"zone": ZONE} | changes))

    async def _person(self, role: str, **changes: Any) -> Someone:
        someone = Someone(uuid4(), f"+1212555{next(_LINES):04d}")
        async with self.runtime.unit() as unit:
            values: dict[str, Any] = {
                "id": someone.id,
                "clinic_id": CLINIC,
                "role": role,
                "name_sealed": contact_rows.seal(unit, someone.id, "name", "N"),
                "number_sealed": contact_rows.seal(unit, someone.id, "number", someone.number),
                "number_index": contact_rows.number_index(unit, someone.number),
                "language": "en",
                "version": 1,
                "created_at": unit.now,
                "changed_at": unit.now,
            }
            await unit.conn.execute(contact.insert().values(**(values | changes)))
        return someone

    async def plan(self, who: Someone, version: int = 1, **changes: Any) -> None:
        values: dict[str, Any] = {"plan_id": uuid4(), "status": "active", "zone": ZONE, "starts_on": self.now.date()}
        snapshot = PlanSnapshot(**(values | {"texts_a_day": 2} | changes))
        await self.hear(PlanStartedV1(clinic_id=CLINIC, patient_id=who.id, plan_version=version, plan=snapshot))

    def dose(self, who: Someone, *, occurrence: UUID | None = None, version: int = 1, **changes: Any) -> DoseDueV1:
        values: dict[str, Any] = {
            "clinic_id": CLINIC,
            "patient_id": who.id,
            "occurrence_id": occurrence or uuid4(),
            "plan_version": version,
            "series_id": uuid4(),
            "local_date": self.now.date(),
            "zone": ZONE,
            "due_at": self.now,
            "useful_until": self.now + timedelta(hours=1),
            "answer_until": self.now + timedelta(hours=4),
            "slot_id": "morning",
            "slot_time": "08:00",
            "times_from": "plan",
            "doses": (),
        }
        return DoseDueV1(**(values | changes))

    # --- what happens -------------------------------------------------------------------------------------------------

    async def hear(self, *events: Event) -> None:
        """As the delivery does it: the keys locked, one transaction, each event as the cause of what it leads to."""
        async with self.runtime.unit() as around:
            await around.lock(*{event.key for event in events})
            for event in events:
                unit = copy(around)
                unit.cause = self.envelope(event)
                await HANDLERS[type(event)](unit, event)

    def envelope(self, event: Event) -> Envelope:
        return Envelope(
            id=uuid4(), type=event.full_type, source="test", time=self.now, subject=str(event.key), correlation_id=uuid4()
        )

    async def send(self) -> None:
        """The sender, until nothing is due and nothing under way."""
        async with asyncio.timeout(60):
            while await self.sender.run(self.now) or self.sender.in_flight():
                await asyncio.gather(*self.sender._tasks.values(), return_exceptions=True)

    async def settle(self) -> None:
        """Everything due now is carried through: sender, reconciler, the provider's callbacks."""
        async with asyncio.timeout(90):
            while True:
                await self.send()
                looked = await self.reconciler.run(self.now)
                step = (await self.http.post("/phone/simulation/step")).raise_for_status().json()
                if not looked and not step["due"] and not step.get("in_flight") and not await self.due():
                    return

    async def due(self) -> bool:
        nexts = [await self.sender.next_due(), await self.reconciler.next_due()]
        return any(at is not None and at <= self.now for at in nexts)

    async def forward(self, **by: float) -> None:
        assert isinstance(self.runtime.clock, ClockPage)
        self.runtime.clock.set(self.now + timedelta(**by))
        await self.settle()

    async def faults(self, *faults: dict[str, Any]) -> None:
        (await self.http.put("/phone/faults", json={"faults": list(faults)})).raise_for_status()

    # --- what is to be seen -------------------------------------------------------------------------------------------

    async def phone_of(self, who: Someone) -> list[dict[str, Any]]:
        """What this person's phone has got from us, oldest first."""
        threads = (await self.http.get("/phone/threads")).raise_for_status().json()
        texts: list[dict[str, Any]] = next((thread["messages"] for thread in threads if thread["number"] == who.number), [])
        return [text for text in texts if text["direction"] == "outbound"]

    async def message(self, key: str) -> Message:
        async with self.runtime.unit() as unit:
            found = await messages.one(unit, messages.message_id(key))
        assert found is not None
        return found

    async def dose_message(self, event: DoseDueV1) -> Message:
        return await self.message(f"occurrence/{event.occurrence_id}")

    async def attempts(self) -> list[str]:
        """How each attempt ended, oldest first."""
        async with self.runtime.unit() as unit:
            rows = await unit.conn.execute(select(attempt.c.outcome).order_by(attempt.c.started_at, attempt.c.id))
        return list(rows.scalars())

    async def said(self, *types: str) -> list[dict[str, Any]]:
        """Bodies of what was said, in order; of these event types only, where some are named."""
        outbox = tables_of("notifier").outbox
        async with self.runtime.unit() as unit:
            rows = (await unit.conn.execute(select(outbox.c.type, outbox.c.body).order_by(outbox.c.seq))).all()
        return [{"type": row.type, **json.loads(row.body)} for row in rows if not types or row.type.split(".")[0] in types]

    async def names(self, prefix: str = "message-") -> list[str]:
        return [each["type"].split(".")[0] for each in await self.said() if each["type"].startswith(prefix)]


async def until(check: Callable[[], Any], what: str, seconds: float = 40) -> None:
    """Waits for a condition (sync or async); fails with its name."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def lock_of(unit: Unit, *keys: UUID) -> None:
    await unit.lock(*keys)
