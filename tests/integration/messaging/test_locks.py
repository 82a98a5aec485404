"""Patient locks that nobody waits long for: the database ends the wait, counted over all of them."""

from __future__ import annotations

import asyncio
from time import monotonic
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.messaging.locks import lock_number
from tests.integration.messaging.bench import Bench, until

_WAITERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def in_order(*keys: UUID) -> list[UUID]:
    return sorted(keys, key=lambda key: lock_number("notifier", key))


async def test_a_lock_that_is_not_let_go_in_time_ends_the_transaction(bench: Bench) -> None:
    engine, key = bench.engine("notifier"), uuid4()
    async with engine.begin() as holder:
        await bench.unit(holder, "notifier").lock(key)
        async with engine.connect() as conn:
            with pytest.raises(DBAPIError) as refused:
                await bench.unit(conn, "notifier").lock(key, within=20)
    assert refused.value.orig is not None
    assert getattr(refused.value.orig, "sqlstate", None) == "55P03"


async def test_the_wait_for_one_lock_leaves_less_for_the_next(bench: Bench) -> None:
    engine, (first, second) = bench.engine("notifier"), in_order(uuid4(), uuid4())

    async def left_over() -> float:
        async with engine.begin() as conn:
            await bench.unit(conn, "notifier").lock(second, first, within=30_000)
            said: str = (await conn.execute(text("SELECT setting FROM pg_settings WHERE name = 'lock_timeout'"))).scalar_one()
            return float(said)

    async with engine.begin() as holder:
        await bench.unit(holder, "notifier").lock(first)
        waiter = asyncio.create_task(left_over())

        async def waits() -> bool:
            return bool((await holder.execute(text(_WAITERS))).scalar_one())

        await until(waits)
        since = monotonic()
        await until(lambda: monotonic() - since > 0.05)
        held = (monotonic() - since) * 1000
    assert 0 < await waiter <= 30_000 - held
