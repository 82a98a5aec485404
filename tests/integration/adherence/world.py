"""Adherence on a real PostgreSQL, without Kafka: events go to the handlers the way the delivery hands them over (inbox, patient
locks, one transaction), due work is fired by the real ticker. What it says is read from its own outbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.adherence.app import SPEC
from services.adherence.storage import people
from services.adherence.storage.people import Clinic, Member
from shared.crypto import FieldCipher
from shared.db import tables_of
from shared.due import Ticker
from shared.events import due, messages, plans
from shared.events.base import Envelope, Event, stable_id
from shared.messaging import inbox
from shared.messaging.unit import Unit

CLINIC = stable_id("clinic", "clinic")
FIRST, SECOND, ON_CALL = (stable_id(CLINIC, "person", name) for name in ("first", "second", "on-call"))
START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # Tuesday, 10:00 in New York
HOUR = timedelta(hours=1)
CIPHER = FieldCipher(bytes(32))


@dataclass
class World:
    engine: AsyncEngine
    now: datetime = START
    patient: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.ticker = Ticker(engine=self.engine, service="adherence", cipher=CIPHER, fires=SPEC.fires)

    async def set_up(self, *, chain: tuple[UUID, ...] | None = (FIRST, SECOND)) -> None:
        """The clinic's on-call, and the patient's care team (None: none)."""
        half = timedelta(minutes=30)
        async with self.engine.begin() as conn:
            unit = Unit(conn, now=self.now, service="adherence", cipher=CIPHER)
            await people.put_clinic(unit, CLINIC, Clinic("America/New_York", (Member(ON_CALL, half),)))
            if chain is not None:
                await people.put_chain(unit, CLINIC, self.patient, [Member(person, half) for person in chain])

    async def hear(self, event: Event, event_id: UUID | None = None, at: datetime | None = None) -> UUID:
        """Delivers one event; an id that came before changes nothing, as with the real delivery."""
        identity = event_id or uuid4()
        envelope = Envelope(
            id=identity, type=event.full_type, source="test", time=at or self.now, subject=str(event.key), correlation_id=uuid4()
        )
        async with self.engine.begin() as conn:
            unit = Unit(conn, now=self.now, service="adherence", cipher=CIPHER, cause=envelope)
            await unit.lock(event.key)
            if await inbox.enter(conn, "adherence", [identity]):
                await SPEC.handlers[type(event)](unit, event)
                await unit.flush()
        return identity

    async def until(self, to: datetime) -> None:
        """Advances clinical time, firing everything at its own instant."""
        while True:
            nxt = await self.ticker.next_due()
            if nxt is None or nxt > to:
                break
            self.now = max(self.now, nxt)
            await self.ticker.run(self.now)
        self.now = max(self.now, to)

    async def said(self, *types: str) -> list[Mapping[str, Any]]:
        """The events said so far, oldest first: type and body."""
        outbox = tables_of("adherence").outbox
        async with self.engine.connect() as conn:
            rows = (await conn.execute(select(outbox.c.type, outbox.c.body).order_by(outbox.c.seq))).all()
        found = [{"type": row.type.removesuffix(".v1"), **json.loads(row.body)} for row in rows]
        return [event for event in found if not types or event["type"] in types]

    async def kinds(self, *types: str) -> list[str]:
        return [str(event["type"]) for event in await self.said(*types)]

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as conn:
            return [tuple(row) for row in await conn.execute(text(statement))]

    # --- events, as the other services say them -----------------------------------------------------------------------

    def occurrence(self, series: str, day: date) -> UUID:
        return stable_id(self.patient, series, "morning", day.isoformat())

    def _due(self, series: str, at: datetime, version: int, answer: timedelta) -> dict[str, Any]:
        return {
            "clinic_id": CLINIC,
            "patient_id": self.patient,
            "occurrence_id": self.occurrence(series, at.date()),
            "plan_version": version,
            "series_id": stable_id(self.patient, series),
            "local_date": at.date(),
            "zone": "America/New_York",
            "due_at": at,
            "useful_until": at + HOUR,
            "answer_until": at + answer,
        }

    def dose_due(self, at: datetime, *, version: int = 1, medication: UUID | None = None) -> due.DoseDueV1:
        dose = {"medication_id": medication or stable_id(self.patient, "m1"), "quantity": "1", "unit": "tablet"}
        fields = self._due("doses", at, version, 4 * HOUR)
        return due.DoseDueV1(**fields, slot_id="morning", slot_time="10:00", times_from="plan", doses=(dose,))

    def check_in_due(self, at: datetime, *, version: int = 1, instrument: str = "mood", item: str = "mood") -> due.CheckInDueV1:
        return due.CheckInDueV1(**self._due("mood", at, version, 4 * HOUR), instrument=instrument, item=item)

    def follow_up_due(self, at: datetime, deadline: datetime) -> due.FollowUpDueV1:
        fields = self._due("review", at, 1, deadline - at)
        return due.FollowUpDueV1(**fields, follow_up_id=stable_id(self.patient, "review"), deadline_at=deadline)

    def text(self, kind: str, about: Event, at: datetime | None = None, **more: Any) -> messages.MessageEvent:
        """message-<kind> about an occurrence's own text."""
        model = {
            "sent": messages.MessageSentV1,
            "delivered": messages.MessageDeliveredV1,
            "undelivered": messages.MessageUndeliveredV1,
            "unconfirmed": messages.MessageUnconfirmedV1,
            "withheld": messages.MessageWithheldV1,
        }[kind]
        occurrence_id = about.occurrence_id  # type: ignore[attr-defined]
        fields = {"message_id": stable_id(occurrence_id, "text"), "kind": "dose", "occurrence_id": occurrence_id}
        made: messages.MessageEvent = model(clinic_id=CLINIC, patient_id=self.patient, at=at or self.now, **fields, **more)
        return made

    def reply(self, about: str, answer: str, occurrence: UUID | None = None, **more: Any) -> messages.ReplyReceivedV1:
        fields = {"reply_id": uuid4(), "at": self.now, "about": about, "answer": answer, "occurrence_id": occurrence}
        return messages.ReplyReceivedV1(**({"clinic_id": CLINIC, "patient_id": self.patient} | fields | more))

    def plan(self, version: int, **parts: Any) -> plans.PlanStartedV1:
        snapshot = {"plan_id": stable_id(self.patient, "plan"), "status": "active", "zone": "America/New_York"}
        body = snapshot | {"starts_on": START.date()} | parts
        return plans.PlanStartedV1(
            clinic_id=CLINIC, patient_id=self.patient, plan_version=version, plan=plans.PlanSnapshot(**body)
        )

    def contact(self, model: type[messages.ContactEvent], version: int, **parts: Any) -> messages.ContactEvent:
        how = {name: parts.pop(name) for name in ("how", "why") if name in parts}
        usual = {"reachable": True, "number_on_file": True, "consent": True, "opted_out": False, "number_suspect": False}
        snapshot = messages.ContactSnapshot(**(usual | {"texts_paused": "no"} | parts))
        return model(clinic_id=CLINIC, patient_id=self.patient, contact_version=version, contact=snapshot, **how)

    async def silent_dose(self, at: datetime, **more: Any) -> due.DoseDueV1:
        """A dose that was asked about, arrived, and got no answer."""
        await self.until(at)
        event = self.dose_due(at, **more)
        await self.hear(event)
        await self.hear(self.text("sent", event))
        await self.hear(self.text("delivered", event))
        await self.until(at + 4 * HOUR)
        return event
