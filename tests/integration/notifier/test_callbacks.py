"""The door for statuses: signed over the configured address, about our account, kept once, answered after the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text
from twilio.request_validator import RequestValidator

from services.notifier import callbacks
from services.notifier.storage.tables import attempt, status_callback
from tests.integration.notifier.bench import ACCOUNT, TOKEN, Bench
from tests.integration.notifier.conftest import Place

SID = "SM" + "0b" * 16


@pytest.fixture
async def door(bench: Bench, simulator: Place) -> AsyncIterator[Door]:
    """A text whose answer never came: its attempt is open for whoever knows its address."""
    patient = await bench.patient()
    await bench.hear(bench.dose(patient))
    async with bench.runtime.unit() as unit:
        _, [letter] = await bench.sender._through_gate(unit, 1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{simulator.web_port}", timeout=20) as http:
        yield Door(bench, http, str(http.base_url).rstrip("/"), letter.attempt_id)


class Door:
    def __init__(self, bench: Bench, http: httpx.AsyncClient, public: str, attempt_id: UUID) -> None:
        self.bench, self.http, self.public, self.attempt_id = bench, http, public, attempt_id

    def form(self, status: str = "sent", **changes: str) -> dict[str, str]:
        return {"AccountSid": ACCOUNT, "MessageSid": SID, "MessageStatus": status, "To": "+12125550100"} | changes

    async def post(
        self, form: dict[str, str], *, path: str | None = None, token: str = TOKEN, headers: dict[str, str] | None = None
    ) -> int:
        path = path or f"/notifier/twilio/status/{self.attempt_id}"
        signature = RequestValidator(token).compute_signature(self.public + path, form)
        sent = {"X-Twilio-Signature": signature} | (headers or {})
        answer = await self.http.post(path, data=form, headers=sent)
        self.body = answer.content
        return answer.status_code

    async def state(self) -> str:
        async with self.bench.runtime.engine.connect() as conn:
            return str((await conn.execute(text("SELECT state FROM notifier.message"))).scalar_one())

    async def kept(self) -> int:
        async with self.bench.runtime.engine.connect() as conn:
            return len((await conn.execute(select(status_callback.c.sid))).all())


async def test_a_status_brings_the_sid_that_the_answer_never_did(door: Door) -> None:
    assert await door.post(door.form("sent")) == 200
    assert await door.state() == "sent"
    async with door.bench.runtime.engine.connect() as conn:
        row = (await conn.execute(select(attempt.c.sid, attempt.c.sid_from, attempt.c.outcome))).one()
    assert tuple(row) == (SID, "callback", "taken")


async def test_a_status_said_twice_is_kept_once_and_late_ones_change_nothing(door: Door) -> None:
    for status in ("delivered", "sent", "delivered", "queued"):
        assert await door.post(door.form(status)) == 200
    assert await door.state() == "delivered"
    assert await door.kept() == 3
    assert await door.bench.names() == ["message-sent", "message-delivered"]


async def test_strangers_are_answered_403_without_a_word(door: Door) -> None:
    assert await door.post(door.form(), token="another-token") == 403
    assert door.body == b""
    assert await door.post(door.form(), headers={"X-Twilio-Signature": ""}) == 403
    assert await door.post(door.form(AccountSid="AC" + "f" * 32)) == 403
    assert await door.post(door.form(MessageSid="x")) == 403
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Host": "evil.example"}
    assert await door.post(door.form(), headers=forwarded) == 200, "only the configured address counts, not what a proxy says"
    assert await door.kept() == 1


async def test_the_query_is_signed_too_and_blank_and_odd_fields_survive(door: Door) -> None:
    path = f"/notifier/twilio/status/{door.attempt_id}?edge=1&x=%20"
    assert await door.post(door.form(ErrorMessage="", Note=" h\u00e9llo \U0001f600 +&="), path=path) == 200


async def test_a_repeated_field_validates(door: Door) -> None:
    path = f"/notifier/twilio/status/{door.attempt_id}"
    pairs = [*door.form().items(), ("MediaUrl", "b"), ("MediaUrl", "a")]

    class Multi(dict[str, str]):
        def getlist(self, name: str) -> list[str]:
            return [value for key, value in pairs if key == name]

    signature = RequestValidator(TOKEN).compute_signature(door.public + path, Multi(pairs))
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    answer = await door.http.post(path, content=urlencode(pairs), headers=headers)
    assert answer.status_code == 200


async def test_too_long_a_body_and_an_unknown_attempt_are_refused(door: Door) -> None:
    assert await door.post(door.form(Padding="x" * 70_000)) == 413
    assert await door.post(door.form(), path=f"/notifier/twilio/status/{uuid4()}") == 404
    assert await door.post(door.form(), path="/notifier/twilio/status/no-id") == 404


async def test_an_unknown_number_by_callback_makes_it_suspect(door: Door) -> None:
    assert await door.post(door.form("undelivered", ErrorCode="30005")) == 200
    assert await door.state() == "undelivered"
    assert [each["why"] for each in await door.bench.said("number-suspect")] == ["undelivered"]
    assert [each["error_code"] for each in await door.bench.said("message-undelivered")] == [30005]


async def test_what_cannot_be_committed_in_time_is_503_and_not_kept(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "_WITHIN", timedelta(seconds=0.3))
    async with door.bench.runtime.unit() as unit:
        await unit.lock(*[row.contact_id for row in await unit.conn.execute(select(attempt.c.contact_id))])
        assert await door.post(door.form()) == 503
    assert await door.kept() == 0
    monkeypatch.undo()
    assert await door.post(door.form()) == 200
