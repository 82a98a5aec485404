"""The ops channel, the snapshot of a step, and what readiness says, on a real database."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import cast

import pytest
from sqlalchemy import insert, select, text, update

from shared import health, loops
from shared.db import metadata_for, tables_of
from shared.events.base import stable_id
from shared.house_tables import house_tables
from shared.identity import clinic_id_of
from shared.messaging.work import KEY_PARKED
from shared.ops import OpsPass, channels, ops_say
from shared.service import Process
from tests.integration.shared.conftest import START, House
from tests.support import pager
from tests.support.pager import Pager

NOTE = "/scheduler/patients/p-1/note"
CLINIC = clinic_id_of("clinic")
NOTICE = house_tables(metadata_for("scheduler")).ops_notice
CORE = tables_of("scheduler")


@pytest.fixture
def webhook() -> Iterator[Pager]:
    with pager.paging() as server:
        yield server


def paging(house: House, webhook: Pager) -> OpsPass:
    return OpsPass(house.runtime, channels=[channels.Webhook(webhook.url)])


async def states(house: House) -> list[tuple[str, int]]:
    async with house.runtime.engine.connect() as conn:
        return [(row.state, row.attempts) for row in await conn.execute(select(NOTICE).order_by(NOTICE.c.at))]


async def park_due_work(house: House, ref: str = "stuck") -> None:
    async with house.runtime.unit() as unit:
        key = stable_id(CLINIC, "patient", "p-9")
        await unit.plan_work("toy", ref, unit.now, key=key, clinic_id=CLINIC)
    async with house.runtime.engine.begin() as conn:
        await conn.execute(update(CORE.due_work).values(state="parked", error="ValueError", attempts=4))


async def test_a_notice_is_delivered_once_however_often_it_is_said(house: House, webhook: Pager) -> None:
    for _ in range(2):
        async with house.runtime.unit() as unit:
            await ops_say(unit, "channel-down", {"state": "opened"}, dedup="incident-1")
    work = paging(house, webhook)
    assert await work.run(START) == 1
    assert await work.run(START) == 0
    [said] = webhook.got
    assert (said["service"], said["kind"], said["details"]) == ("scheduler", "channel-down", {"state": "opened"})
    assert await states(house) == [("delivered", 1)]


async def test_a_notice_of_a_transaction_that_failed_is_none(house: House, webhook: Pager) -> None:
    async def fail() -> None:
        async with house.runtime.unit() as unit:
            await ops_say(unit, "stuck")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await paging(house, webhook).run(START) == 0


async def test_a_refusing_webhook_is_tried_again_later_and_given_up_at_last(house: House, webhook: Pager) -> None:
    webhook.answers = [500] * 20
    work = paging(house, webhook)
    async with house.runtime.unit() as unit:
        await ops_say(unit, "stuck", dedup="1")
    attempts, last = 0, START
    while (due := await work.next_due()) is not None:
        assert due >= last
        house.clock.set(max(due, house.clock.now()))
        assert await work.run(house.clock.now()) == 1
        assert await work.run(house.clock.now()) == 0, "no second attempt at the same moment"
        attempts, last = attempts + 1, due
    assert attempts == len(webhook.got) == 8
    assert last - START > timedelta(minutes=30)
    assert await states(house) == [("given-up", 8)]


async def test_a_notice_in_another_processs_hands_is_left_to_it_until_its_lease_ends(house: House, webhook: Pager) -> None:
    """The other one died between taking it and the webhook's answer."""
    async with house.runtime.unit() as unit:
        await ops_say(unit, "stuck")
    assert len(await paging(house, webhook)._delivery._claim(START)) == 1
    work = paging(house, webhook)
    assert await work.run(START) == 0
    assert await work.run(START + timedelta(seconds=31)) == 1
    assert len(webhook.got) == 1


async def test_an_unreachable_webhook_fails_nothing_else(house: House, webhook: Pager) -> None:
    work = OpsPass(house.runtime, channels=[channels.Webhook("http://127.0.0.1:1/nobody")])
    async with house.runtime.unit() as unit:
        await ops_say(unit, "stuck")
    assert await work.run(START) == 1
    assert await states(house) == [("waiting", 1)]


async def test_ops_hears_of_parked_work_without_anybody_saying_so(house: House, webhook: Pager) -> None:
    await park_due_work(house)
    work = paging(house, webhook)
    assert await work.run(START) == 2
    assert await work.run(START) == 0
    [said] = webhook.got
    [shown] = (await house.http.get("/scheduler/parked")).json()
    details = {"what": "due-work", "type": "toy", "error": "ValueError", "id": shown["event_id"]}
    assert (said["kind"], said["details"]) == ("key-parked", details)
    assert "p-9" not in json.dumps(said)


async def test_the_desk_shows_replays_and_discards_parked_work(house: House) -> None:
    await park_due_work(house)
    [shown] = (await house.http.get("/scheduler/parked")).json()
    assert (shown["what"], shown["type"], shown["error"]) == ("due-work", "toy", "ValueError")
    desk = f"/scheduler/parked/{shown['event_id']}"
    assert (await house.http.post(f"{desk}/replay", json={"reason": ""})).status_code == 422
    assert (await house.http.post(f"{desk}/replay", json={"reason": "fixed"})).json()["outcome"] == "scheduled"
    assert (await house.http.get("/scheduler/parked")).json() == []
    snapshot = (await house.http.post("/scheduler/simulation/step")).json()
    assert (snapshot["due"], snapshot["unsent"]) == (0, 1), "the work has been fired"
    assert (await house.http.post(f"{desk}/discard", json={"reason": "again"})).status_code == 404


async def test_the_step_runs_what_is_due_and_counts_what_is_not(house: House) -> None:
    await house.http.put(NOTE, json={"kind": "a"})
    async with house.runtime.unit() as unit:
        key = stable_id(CLINIC, "patient", "p-2")
        await unit.plan_work("toy", "later", START + timedelta(hours=1), key=key, clinic_id=CLINIC)
    first = (await house.http.post("/scheduler/simulation/step")).json()
    assert (first["due"], first["unsent"], first["in_flight"], first["next_due"]) == (0, 1, 0, "2026-11-23T14:00:00Z")
    again = (await house.http.post("/scheduler/simulation/step")).json()
    assert again == first, "two quiet snapshots are equal"
    house.clock.set(START + timedelta(hours=1))
    later = (await house.http.post("/scheduler/simulation/step")).json()
    assert (later["unsent"], later["next_due"], later["now"]) == (2, None, "2026-11-23T14:00:00Z")
    assert later["work"] > first["work"]


async def test_a_fire_that_fails_is_never_taken_for_quiet(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row stands with a later due time; the step does not claim that nothing is left."""

    async def failing(_self: object, _now: object) -> int:
        raise RuntimeError("canary")

    await house.http.put(NOTE, json={"kind": "a"})
    monkeypatch.setattr(type(house.worker.passes[0]), "run", failing)
    snapshot = (await house.http.post("/scheduler/simulation/step")).json()
    assert snapshot["due"] == 1
    for _ in range(2):
        await house.http.post("/scheduler/simulation/step")
    ready = await house.http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["passes"]["failing"] == ["ticker"]


async def test_a_notice_that_nobody_could_deliver_is_never_taken_for_quiet(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(_self: object, _now: object) -> int:
        raise RuntimeError("canary")

    monkeypatch.setattr(OpsPass, "run", failing)
    async with house.runtime.unit() as unit:
        await ops_say(unit, "stuck")
    assert (await house.http.post("/scheduler/simulation/step")).json()["due"] == 1


async def test_the_loops_own_looks_are_never_taken_for_work_under_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a look that finds nothing takes long, and one or other is always at it: an advance found no quiet."""

    async def slow_look(_self: object, _now: object) -> int:
        await asyncio.sleep(0.02)
        return 0

    monkeypatch.setattr(OpsPass, "run", slow_look)
    monkeypatch.setattr(loops, "_LONGEST_SLEEP", 0.0)
    stopping = asyncio.Event()
    looping = asyncio.create_task(house.loops.run(stopping, 5))
    while not house.loops.in_flight():  # noqa: ASYNC110 - gives way to the loops
        await asyncio.sleep(0)
    seen = [(await house.http.post("/scheduler/simulation/step")).json()["in_flight"] for _ in range(5)]
    stopping.set()
    await looping
    assert seen == [0] * 5


async def test_a_command_under_way_is_in_flight(house: House) -> None:
    """Held up by the patient lock that another transaction has."""
    key = stable_id(CLINIC, "patient", "p-1")
    async with house.runtime.unit() as unit:
        await unit.lock(key)
        command = asyncio.create_task(house.http.put(NOTE, json={"kind": "a"}))
        while not house.runtime.commands_in_flight:  # noqa: ASYNC110 - gives way to the command
            await asyncio.sleep(0)
        snapshot = (await house.http.post("/scheduler/simulation/step")).json()
        assert snapshot["in_flight"] == 1
    assert (await command).status_code == 200
    assert (await house.http.post("/scheduler/simulation/step")).json()["in_flight"] == 0


async def test_a_step_is_no_audited_command_and_needs_the_role(house: House) -> None:
    """Not even where a pass opens a unit inside it: the notice about what is parked is the pass's."""
    await house.http.put(NOTE, json={"kind": "a"})
    await park_due_work(house)
    await house.http.post("/scheduler/simulation/step", headers={"Idempotency-Key": "s-1"})
    async with house.runtime.engine.connect() as conn:
        audited = (await conn.execute(text("SELECT count(*) FROM scheduler.audit"))).scalar_one()
        claimed = (await conn.execute(text("SELECT count(*) FROM scheduler.idempotency"))).scalar_one()
    assert (audited, claimed) == (1, 0)
    assert [state for state, _ in await states(house)] == ["delivered", "delivered"]
    assert (await house.http.post("/scheduler/simulation/step", headers={"Authorization": ""})).status_code == 401
    refused = await house.http.post("/scheduler/simulation/step", json={"published": {"due.v1:0": "many"}})
    assert (refused.status_code, refused.json()["element"]) == (422, "published.*")
    assert 'route="/scheduler/simulation/step",status="422"' in (await house.http.get("/metrics")).text


async def test_too_many_parked_keys_make_the_service_unready(house: House) -> None:
    await park_due_work(house)
    assert (await house.http.get("/readyz")).json()["checks"]["parked"] == {"ok": True, "keys": 1, "events": 1}
    many = [
        {
            "kind": "toy",
            "ref": str(n),
            "key": stable_id("key", n),
            "clinic_id": CLINIC,
            "due_at": START,
            "state": "parked",
            "error": "X",
        }
        for n in range(25)
    ]
    async with house.runtime.engine.begin() as conn:
        await conn.execute(insert(CORE.due_work), many)
    unready = await house.http.get("/readyz")
    assert (unready.status_code, unready.json()["checks"]["parked"]["keys"]) == (503, 26)


async def test_a_database_that_goes_away_is_said_and_answered_503_until_it_is_back(house: House) -> None:
    server, name = house.database.server, house.database.name
    server.sql('ALTER DATABASE :"name" ALLOW_CONNECTIONS false', name=name)
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'name'", name=name)
    unready = await house.http.get("/readyz")
    assert unready.status_code == 503
    assert not unready.json()["checks"]["database"]["ok"]
    refused = await house.http.put(NOTE, json={"kind": "a"})
    assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
    server.sql('ALTER DATABASE :"name" ALLOW_CONNECTIONS true', name=name)
    assert (await house.http.get("/readyz")).status_code == 200
    assert (await house.http.put(NOTE, json={"kind": "a"})).status_code == 200


def test_clocks_may_differ_by_two_seconds_and_no_more() -> None:
    assert health.within_skew(1.9)
    assert health.within_skew(-2.0)
    assert not health.within_skew(2.1)
    assert not health.within_skew(-2.1)


async def test_the_clinic_hears_within_the_hour_of_a_key_that_still_waits(house: House, webhook: Pager) -> None:
    """Where the service has a fire for it; what cannot be told itself is not told of again."""
    async with house.runtime.unit() as unit:
        key = stable_id(CLINIC, "patient", "p-9")
        await unit.plan_work(KEY_PARKED, "told", unit.now, key=key, clinic_id=CLINIC)
    await park_due_work(house)
    work = OpsPass(house.runtime, tells_clinic=True, channels=[channels.Webhook(webhook.url)])
    await work.run(START)
    async with house.runtime.engine.connect() as conn:
        wanted = select(CORE.due_work).where(CORE.due_work.c.state == "waiting")
        [planned] = (await conn.execute(wanted)).all()
    assert (planned.kind, planned.key, planned.clinic_id) == (KEY_PARKED, key, CLINIC)
    assert START < planned.due_at < START + timedelta(hours=1)


async def test_a_part_that_is_stuck_again_within_the_hour_is_said_once(house: House, webhook: Pager) -> None:
    """A process that is started again every minute and stands still again is one thing to mend."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = Process(house.toy.spec(), house.runtime.settings, listening)
        for what in ("consumer", "consumer", "ticker"):
            await process._say_stuck(what)
        house.clock.set(START + timedelta(hours=1))
        await process._say_stuck("consumer")
        await process.runtime.engine.dispose()
    assert await paging(house, webhook).run(house.clock.now()) == 3
    details = [said["details"] for said in webhook.got if said["kind"] == "stuck"]
    assert sorted(cast("dict[str, str]", each)["what"] for each in details) == ["consumer", "consumer", "ticker"]
