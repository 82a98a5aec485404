"""A command: let in by a key, done once per Idempotency-Key, on record with author and reason; refusals never quote a value."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from shared.db import metadata_for
from shared.events.base import stable_id
from shared.house_tables import house_tables
from shared.identity import clinic_id_of, new_key
from shared.ops import OpsPass
from tests.integration.shared.conftest import START, House

NOTE = "/scheduler/patients/p-1/note"
CANARY = "Zyxcanary Quill +15550001234"
TABLES = house_tables(metadata_for("scheduler"))


async def audits(house: House) -> list[dict[str, object]]:
    async with house.runtime.engine.connect() as conn:
        return [dict(row) for row in (await conn.execute(select(TABLES.audit).order_by(TABLES.audit.c.seq))).mappings()]


async def test_same_key_same_body_is_done_once_and_answered_alike(house: House) -> None:
    first = await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-1"})
    again = await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert house.toy.runs == 1
    assert len(await audits(house)) == 1


async def test_two_at_once_with_one_key_are_done_once(house: House) -> None:
    answers = await asyncio.gather(
        *(house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-2"}) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert house.toy.runs == 1


async def test_without_a_key_each_is_done(house: House) -> None:
    for _ in range(2):
        await house.http.put(NOTE, json={"kind": "a"})
    assert house.toy.runs == 2


@pytest.mark.parametrize(
    ("url", "body"), [(NOTE, {"kind": "b"}), ("/scheduler/patients/p-2/note", {"kind": "a"}), (NOTE + "?x=1", {"kind": "a"})]
)
async def test_same_key_for_something_else_is_refused(house: House, url: str, body: dict[str, str]) -> None:
    await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-3"})
    other = await house.http.put(url, json=body, headers={"Idempotency-Key": "k-3"})
    assert other.status_code == 422
    assert other.json()["element"] == "Idempotency-Key"
    assert house.toy.runs == 1


async def test_a_refused_command_leaves_its_key_free(house: House) -> None:
    refused = await house.http.put(NOTE, json={"kind": "refuse"}, headers={"Idempotency-Key": "k-4"})
    assert refused.status_code == 409
    assert await audits(house) == []
    again = await house.http.put(NOTE, json={"kind": "refuse"}, headers={"Idempotency-Key": "k-4"})
    assert "Idempotency-Replayed" not in again.headers


async def test_done_but_its_answer_lost_is_told_so_and_not_done_again(house: House) -> None:
    """The process died between the commit and the storing of the answer."""
    await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-5"})
    async with house.runtime.engine.begin() as conn:
        await conn.execute(update(TABLES.idempotency).values(answer=None, status=None))
    again = await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-5"})
    assert again.json() == {"outcome": "done-before"}
    assert house.toy.runs == 1


async def test_the_stored_answer_and_the_reason_are_sealed(house: House) -> None:
    await house.http.put(NOTE, json={"kind": "a", "reason": CANARY}, headers={"Idempotency-Key": "k-6"})
    [row] = await audits(house)
    reason = row["reason"]
    assert isinstance(reason, bytes)
    assert house.runtime.cipher.open(reason, table="audit", column="reason", row=row["audit_id"]) == CANARY
    async with house.runtime.engine.connect() as conn:
        answer = (await conn.execute(select(TABLES.idempotency.c.answer))).scalar_one()
    assert b"patient" not in answer
    assert b"canary" not in answer + reason


async def test_the_audit_says_who_what_and_never_the_external_id(house: House) -> None:
    await house.http.put(NOTE, json={"kind": "a"})
    [row] = await audits(house)
    patient = str(stable_id(clinic_id_of("clinic"), "patient", "p-1"))
    assert row["author"] == "first-key"
    assert (row["method"], row["route"]) == ("PUT", "/patients/{raw}/note")
    assert patient in json.dumps(row["objects"])
    assert "p-1" not in json.dumps(row["objects"])


@pytest.mark.parametrize(
    "statement", ["UPDATE scheduler.audit SET author = 'x'", "DELETE FROM scheduler.audit", "TRUNCATE scheduler.audit"]
)
async def test_the_audit_is_append_only(house: House, statement: str) -> None:
    await house.http.put(NOTE, json={"kind": "a"})
    with pytest.raises(DBAPIError, match="append-only"):
        async with house.runtime.engine.begin() as conn:
            await conn.exec_driver_sql(statement)
    assert len(await audits(house)) == 1


@pytest.mark.parametrize(
    ("body", "element"),
    [
        ({"kind": CANARY}, "kind"),
        ({"kind": "a", "at": CANARY}, "at"),
        ({"kind": "a", "count": CANARY}, "count"),
        ({"kind": "a", CANARY: 1}, "*"),
        ({}, "kind"),
        ([CANARY], "body"),
    ],
)
async def test_a_refusal_names_the_element_and_never_the_value(house: House, body: object, element: str) -> None:
    answer = await house.http.put(NOTE, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["element"] == element
    assert answer.json()["accepted"]
    assert "canary" not in answer.text
    assert house.toy.runs == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"kind": "a", "reason": "\\u0000"}', 422),
        (b'{"kind": "a", "reason": "\x00"}', 422),
        (b"{", 422),
        (b'{"kind": "a"' + b" " * 1_048_576 + b"}", 413),
        (b"[" * 100_000, 422),
    ],
)
async def test_bodies_that_no_service_sees(house: House, content: bytes, status: int) -> None:
    answer = await house.http.put(NOTE, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (status, 400)
    assert answer.headers["content-type"] == "application/problem+json"
    assert house.toy.runs == 0


async def test_failures_are_problems_without_a_trace(house: House) -> None:
    busy = await house.http.put(NOTE, json={"kind": "busy"})
    broken = await house.http.put(NOTE, json={"kind": "break"}, headers={"Idempotency-Key": "k-7"})
    assert (busy.status_code, broken.status_code) == (503, 500)
    assert busy.headers["Retry-After"] == "1"
    for answer in (busy, broken):
        assert answer.headers["content-type"] == "application/problem+json"
        assert "canary" not in answer.text
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic abc", "Bearer " + "x" * 600])
async def test_no_valid_key_no_entry(house: House, header: str) -> None:
    answer = await house.http.put(NOTE, json={"kind": "a"}, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert house.toy.runs == 0


async def test_a_registered_key_bears_its_roles_until_revoked(house: House) -> None:
    key = new_key()
    body = {"label": "desk", "roles": ["prescriber"], "sha256": sha256(key.encode()).hexdigest(), "person": "dr-1"}
    registered = await house.http.post("/scheduler/keys", json=body)
    repeated = await house.http.post("/scheduler/keys", json=body)
    assert (registered.json()["outcome"], repeated.json()["outcome"]) == ("registered", "unchanged")
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await house.http.put(NOTE, json={"kind": "a"}, headers=bearer)).status_code == 200
    assert (await house.http.get("/scheduler/keys", headers=bearer)).status_code == 403
    [by_desk] = [row for row in await audits(house) if row["author"] == "desk"]
    assert by_desk["person_id"] == stable_id(clinic_id_of("clinic"), "person", "dr-1")
    key_id = UUID(registered.json()["key_id"])
    assert (await house.http.delete(f"/scheduler/keys/{key_id}")).status_code == 200
    assert (await house.http.put(NOTE, json={"kind": "a"}, headers=bearer)).status_code == 401
    assert (await house.http.post("/scheduler/keys", json=body)).status_code == 409


async def test_no_hash_and_no_key_is_shown(house: House) -> None:
    shown = await house.http.get("/scheduler/keys")
    assert [entry["label"] for entry in shown.json()] == ["first-key"]
    assert "sha256" not in shown.text
    first = shown.json()[0]["key_id"]
    assert (await house.http.delete(f"/scheduler/keys/{first}")).status_code == 409


async def test_unknown_addresses_and_the_open_document(house: House) -> None:
    missing = await house.http.get("/scheduler/nothing/here")
    assert (missing.status_code, missing.json()["title"]) == (404, "Not Found")
    document = await house.http.get("/scheduler/openapi.json", headers={"Authorization": ""})
    responses = document.json()["paths"]["/scheduler/patients/{raw}/note"]["put"]["responses"]
    assert list(responses["422"]["content"]) == ["application/problem+json"]


async def test_a_key_is_forgotten_after_a_week_and_not_before(house: House) -> None:
    await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-8"})
    for days, replayed in ((6, True), (8, False)):
        house.clock.set(START + timedelta(days=days))
        await OpsPass(house.runtime).run(house.clock.now())
        again = await house.http.put(NOTE, json={"kind": "a"}, headers={"Idempotency-Key": "k-8"})
        assert ("Idempotency-Replayed" in again.headers) is replayed
