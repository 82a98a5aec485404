"""A connection whose server process has ended is replaced before anybody meets it (decision 0141)."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from shared.db import make_engine
from tests.integration.messaging.bench import until
from tests.support.parts import Database


@pytest.mark.anyio
async def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    engine, other = (make_engine(database.url("scheduler"), service=name, pool_size=1) for name in ("scheduler", "other"))
    try:
        async with engine.connect() as conn:
            pid = (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            driver = (await conn.get_raw_connection()).driver_connection
        async with other.connect() as conn:
            await conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        assert driver is not None
        await until(driver.is_closed)
        async with engine.connect() as conn:
            assert (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one() != pid
    finally:
        await engine.dispose()
        await other.dispose()
