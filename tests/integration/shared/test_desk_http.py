"""The parked desk and the ops channel over HTTP, as the command line uses them: what is shown, decided, refused, and kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import ConsumerRecord
from sqlalchemy import text

from shared.events.base import stable_id
from shared.http import ops as ops_http
from shared.http.app import create_app
from shared.identity import clinic_id_of
from shared.messaging import codec
from shared.messaging.parking import park
from shared.messaging.reading import read
from shared.ops import OpsPass, ops_say
from shared.ops.channels import Webhook
from shared.runtime import Runtime
from shared.settings import Settings
from tests.integration.messaging.records import headers
from tests.integration.shared.conftest import START, House
from tests.support.pager import paging
from tests.support.toy import KEY, review_due

CLINIC = clinic_id_of("clinic")
PATIENT = stable_id(CLINIC, "patient", "p-1")
DESK = "/scheduler/parked"
BECAUSE = {"reason": "looked at it"}


def arrived(clinic_id: UUID, body: bytes | None = None, offset: int = 1) -> Any:
    """A record of that clinic's patient; with `body`, one that nobody can read."""
    event = review_due(clinic_id, PATIENT, START)
    value = codec.body_of(event) if body is None else body
    key = str(event.key).encode()
    fields: dict[str, Any] = {"timestamp": 0, "timestamp_type": 0, "checksum": None, "serialized_key_size": len(key)}
    record = ConsumerRecord(
        topic="due.v1", partition=2, offset=offset, key=key, value=value, headers=tuple(headers(event)),
        serialized_value_size=len(value), **fields,
    )  # fmt: skip
    return read(record)


async def put_away(house: House, one: Any, error: str | None) -> str:
    async with house.runtime.engine.begin() as conn:
        await park(conn, "scheduler", one, now=START, error=error, attempts=4 if error else 0)
    return str(one.event_id)


@pytest.fixture
async def poison(house: House) -> str:
    """The head of the key: a record whose body is no event."""
    return await put_away(house, arrived(CLINIC, b'{"name": "zebrafinch"}'), "Unreadable")


async def call(house: House, method: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = await house.http.request(method, path, **more)
    assert answer.status_code == status, answer.text
    assert "zebrafinch" not in answer.text
    return answer.json()


async def test_what_is_parked_is_shown_without_what_it_holds(house: House, poison: str) -> None:
    waiting = await put_away(house, arrived(CLINIC, offset=2), None)
    listed = await call(house, "GET", DESK)
    assert [(each["event_id"], each["state"]) for each in listed] == [(poison, "parked"), (waiting, "behind")]
    head = await call(house, "GET", f"{DESK}/{poison}")
    assert (head["type"], head["error"], head["behind"], head["head"]) == (listed[0]["type"], "Unreadable", 1, None)
    assert (head["topic"], head["partition"], head["offset"], head["attempts"]) == ("due.v1", 2, 1, 4)
    behind = await call(house, "GET", f"{DESK}/{waiting}")
    assert (behind["state"], behind["head"]) == ("behind", poison)
    assert str(PATIENT) not in str([listed, head, behind])


async def test_a_replay_that_fails_says_so_and_leaves_it_where_it_is(house: House, poison: str) -> None:
    decided = await call(house, "POST", f"{DESK}/{poison}/replay", json=BECAUSE)
    assert decided == {"event_id": poison, "outcome": "failed-again", "handled": 0, "next": poison}
    assert (await call(house, "GET", f"{DESK}/{poison}"))["attempts"] == 5


async def test_letting_go_of_the_head_handles_what_waited_behind_it(house: House, poison: str) -> None:
    waiting = await put_away(house, arrived(CLINIC, offset=2), None)
    refused = await call(house, "POST", f"{DESK}/{waiting}/replay", 409, json=BECAUSE)
    assert refused["detail"] == "it waits behind another event of its key: replay or discard that one"
    decided = await call(house, "POST", f"{DESK}/{poison}/discard", json=BECAUSE)
    assert decided == {"event_id": poison, "outcome": "discarded", "handled": 1, "next": None}
    assert await call(house, "GET", DESK) == []
    await call(house, "GET", f"{DESK}/{poison}", 409)
    await call(house, "POST", f"{DESK}/{poison}/discard", 409, json=BECAUSE)


async def test_who_decided_and_why_is_kept_sealed(house: House, poison: str) -> None:
    await call(house, "POST", f"{DESK}/{poison}/discard", json={"reason": "zebrafinch called"})
    async with house.runtime.engine.connect() as conn:
        audit = (await conn.execute(text("select author, route, objects, reason from scheduler.audit"))).all()
        row = (await conn.execute(text("select state, resolved_by, reason from scheduler.parked"))).one()
    [kept] = audit
    assert (kept.author, kept.route, kept.objects) == ("first-key", "/parked/{event_id}/discard", {"event_id": poison})
    assert (row.state, row.resolved_by) == ("discarded", "first-key")
    assert b"zebrafinch" not in kept.reason
    assert b"zebrafinch" not in row.reason


async def test_another_clinics_is_as_good_as_none(house: House) -> None:
    theirs = await put_away(house, arrived(uuid4()), "KeyError")
    assert await call(house, "GET", DESK) == []
    for method, path in (("GET", ""), ("POST", "/replay"), ("POST", "/discard")):
        refused = await call(house, method, f"{DESK}/{theirs}{path}", 404, json=BECAUSE if method == "POST" else None)
        assert refused["detail"] == "nothing is parked under this id"


async def test_the_notices_are_listed_with_what_became_of_them(house: House, poison: str) -> None:
    async with house.runtime.unit() as unit:
        await ops_say(unit, "alert-unanswered", {"step": 3}, clinic_id=uuid4())
    with paging() as pager:
        await OpsPass(house.runtime, channels=[Webhook(pager.url)]).run(START)
    [notice] = await call(house, "GET", "/scheduler/ops/notices")
    assert (notice["kind"], notice["state"], notice["delivered_by"]) == ("key-parked", "delivered", ["webhook"])
    assert notice["details"]["id"] == poison
    assert notice["says"].startswith("An event or due work could not be handled")


@pytest.fixture
async def tested(house: House, environment: dict[str, str], address: str) -> AsyncIterator[Any]:
    """Asks a service with these settings more to test its ops channels."""
    runtimes: list[Runtime] = []

    async def ask(**settings: str) -> list[dict[str, Any]]:
        env = {
            **environment,
            "STEADYPATH_DATABASE_URL": address,
            **{f"STEADYPATH_OPS_{name}": value for name, value in settings.items()},
        }
        runtime = Runtime(Settings.from_env("scheduler", "both", env))
        runtimes.append(runtime)
        app = create_app(runtime, house.health, [ops_http.router(runtime)])
        bearer = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy", headers=bearer) as http:
            answer = await http.post("/scheduler/ops/test", headers={"X-Reason": "first install"})
        assert answer.status_code == 200, answer.text
        return cast("list[dict[str, Any]]", answer.json())

    yield ask
    for runtime in runtimes:
        await runtime.engine.dispose()


async def test_a_test_goes_through_every_channel_and_each_says_how_it_went(house: House, tested: Any) -> None:
    assert await tested() == []
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1", "SMTP_FROM": "a@clinic.example", "SMTP_TO": "b@clinic.example"}
    with paging() as pager:
        pager.answers = [200, 404]
        assert await tested(WEBHOOK_URL=pager.url, **mail) == [
            {"channel": "webhook", "delivered": True, "why": None, "code": None},
            {"channel": "smtp", "delivered": False, "why": "unreachable", "code": None},
        ]
        assert pager.got[0]["kind"] == "test"
        assert await tested(WEBHOOK_URL=pager.url) == [{"channel": "webhook", "delivered": False, "why": "status", "code": 404}]
    async with house.runtime.engine.connect() as conn:
        assert (await conn.execute(text("select count(*) from scheduler.audit where route like '%/ops/test'"))).scalar_one() == 3
