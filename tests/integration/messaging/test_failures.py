"""Failures of a real database are told apart: one that is away is waited for, a conflict is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import make_engine
from shared.events.due import DueWithdrawnV1
from shared.messaging.failures import Policy, class_of, policy_of
from shared.messaging.unit import Unit
from tests.integration.messaging.bench import QUICK, Bench, Heard, until, withdrawn
from tests.integration.messaging.records import record
from tests.support.parts import Broker, Database


async def failure_of(url: str, work: Callable[[AsyncConnection], Awaitable[object]]) -> Exception:
    engine = make_engine(url, service="notifier")
    try:
        async with engine.begin() as conn:
            await work(conn)
    except Exception as error:
        return error
    finally:
        await engine.dispose()
    pytest.fail("it did not fail")


async def nothing(_conn: AsyncConnection) -> None:
    return None


async def test_nobody_listens_is_waited_for() -> None:
    error = await failure_of("postgresql://notifier:x@127.0.0.1:1/none", nothing)
    assert policy_of(error) is Policy.WAIT


async def test_an_unknown_database_is_waited_for(core_database: Database) -> None:
    right = core_database.url("notifier")
    unknown = right.replace(core_database.name, "no_such_database")
    assert policy_of(await failure_of(unknown, nothing)) is Policy.WAIT


async def test_a_connection_cut_in_the_middle_is_waited_for(core_database: Database) -> None:
    async def cut(conn: AsyncConnection) -> None:
        await conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        await conn.execute(text("SELECT 1"))

    error = await failure_of(core_database.url("notifier"), cut)
    assert policy_of(error) is Policy.WAIT


async def test_a_transaction_over_its_time_is_tried_again_then_parked(core_database: Database) -> None:
    async def slow(conn: AsyncConnection) -> None:
        await conn.execute(text("SET LOCAL statement_timeout = '10ms'"))
        await conn.execute(text("SELECT pg_sleep(5)"))

    error = await failure_of(core_database.url("notifier"), slow)
    assert policy_of(error) is Policy.RETRY
    assert class_of(error).endswith(":57014")


async def test_errors_of_the_database_hold_no_parameter(core_database: Database) -> None:
    async def conflict(conn: AsyncConnection) -> None:
        for _ in range(2):
            await conn.execute(text("INSERT INTO notifier.reader_state VALUES (:topic, 0, 0)"), {"topic": "Canary-5551234"})

    error = await failure_of(core_database.url("notifier"), conflict)
    assert policy_of(error) is Policy.RETRY
    assert class_of(error) == "IntegrityError:23505"


async def test_roles_have_their_time_limits(core_database: Database) -> None:
    engine = make_engine(core_database.url("notifier"), service="notifier")
    async with engine.connect() as conn:
        limits = [(await conn.execute(text(f"SHOW {name}"))).scalar() for name in
                  ("transaction_timeout", "idle_in_transaction_session_timeout")]  # fmt: skip
    await engine.dispose()
    assert limits == ["30s", "10s"]


async def test_while_the_database_is_away_the_consumer_waits_and_nothing_is_parked(bench: Bench) -> None:
    heard, patient = Heard(), uuid4()
    consumer = bench.consumer(bench.handling(heard))
    await until(lambda: consumer.assigned() > 0)
    name = bench.database.name
    server = bench.database.server
    server.sql('alter database :"name" allow_connections false', name=name)
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = :'name'", name=name)
    await bench.raw(record(withdrawn(patient, 1)))
    await until(lambda: consumer.delivery.waiting)
    assert consumer.stuck_for() == 0.0
    server.sql('alter database :"name" allow_connections true', name=name)
    await until(lambda: heard.of(patient) == [1])
    assert await bench.count("parked") == 0


async def test_while_the_broker_is_away_the_consumer_is_not_called_stuck(bench: Bench, fresh_kafka: Broker) -> None:
    """A record waited when the broker went. Ending the process, which follows from being stuck, would not bring it back."""
    heard, never = Heard(), asyncio.Event()

    async def hang(_unit: Unit, _event: DueWithdrawnV1) -> None:
        await never.wait()

    heard.on_event = hang
    await bench.raw(record(withdrawn(uuid4())))
    consumer = bench.consumer(bench.handling(heard), replace(QUICK, stuck_after=0.3))
    await until(lambda: consumer.stuck_for() > 0)
    fresh_kafka.process.kill()
    await until(lambda: not consumer.connected() and consumer.stuck_for() == 0.0, seconds=20)
