"""Texts that come in by the provider's own webhook, and what the notifier then holds: what tests of hearing share."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select
from twilio.request_validator import RequestValidator

from services.notifier.handlers.crisis import FIRES
from services.notifier.storage import contact_rows
from services.notifier.storage.hearing_tables import inbound as inbound_table
from services.notifier.storage.tables import message
from shared.db import tables_of
from shared.messaging.work import WorkItem
from tests.integration.notifier.bench import ACCOUNT, LINE, TOKEN, Bench, Someone


class Door:
    """Posts to the inbound webhook as Twilio does."""

    def __init__(self, http: httpx.AsyncClient, public: str) -> None:
        self.http, self.url = http, f"{public}/notifier/twilio/inbound"

    def form(self, who: Someone | str, body: str, **more: str) -> dict[str, str]:
        number = who if isinstance(who, str) else who.number
        sid = more.pop("sid", f"SM{uuid4().hex}")
        fields = {"MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "From": number, "To": LINE, "Body": body}
        return fields | {"NumMedia": "0", "SmsStatus": "received", "ApiVersion": "2010-04-01"} | more

    async def post(self, form: dict[str, str], *, token: str = TOKEN, signature: str | None = None) -> httpx.Response:
        signed = RequestValidator(token).compute_signature(self.url, form) if signature is None else signature
        return await self.raw(urlencode(form), signed)

    async def raw(self, body: str, signature: str) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signature:
            headers["X-Twilio-Signature"] = signature
        return await self.http.post(self.url, content=body, headers=headers)

    async def text(self, who: Someone | str, body: str, **more: str) -> httpx.Response:
        answer = await self.post(self.form(who, body, **more))
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("<Response/>")
        return answer


async def rows(bench: Bench) -> list[Any]:
    async with bench.runtime.unit() as unit:
        return list((await unit.conn.execute(select(inbound_table).order_by(inbound_table.c.seq))).all())


async def dispositions(bench: Bench) -> list[str]:
    return [row.disposition for row in await rows(bench)]


async def standing(bench: Bench, who: Someone) -> contact_rows.Contact:
    async with bench.runtime.unit() as unit:
        return await contact_rows.needed(unit, who.id)


async def queued(bench: Bench, kind: str) -> list[Any]:
    async with bench.runtime.unit() as unit:
        found = await unit.conn.execute(select(message).where(message.c.kind == kind).order_by(message.c.created_at))
        return list(found.all())


async def asked_dose(bench: Bench, who: Someone) -> UUID:
    """A dose text that has gone; its occurrence."""
    event = bench.dose(who)
    await bench.hear(event)
    await bench.settle()
    return event.occurrence_id


async def replies(bench: Bench) -> list[dict[str, Any]]:
    return await bench.said("reply-received")


async def fire(bench: Bench, kind: str) -> int:
    """The ticker's turn for one kind of due work, by hand."""
    table = tables_of("notifier").due_work
    async with bench.runtime.unit() as unit:
        due = (await unit.conn.execute(select(table).where(table.c.kind == kind, table.c.due_at <= unit.now))).all()
        await unit.conn.execute(table.delete().where(table.c.kind == kind, table.c.due_at <= unit.now))
        await unit.lock(*(row.key for row in due))
        await FIRES[kind](unit, [WorkItem(row.kind, row.ref, row.key, row.clinic_id, row.due_at, row.data) for row in due])
    return len(due)
