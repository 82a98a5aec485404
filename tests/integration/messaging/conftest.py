"""A scheduler that says and a notifier that hears, on a real PostgreSQL and a broker that speaks Kafka's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import asyncpg_url, metadata_for
from tests.integration.messaging.bench import Bench
from tests.support.parts import Broker, Database, clone_of


async def _make_tables(database: Database) -> None:
    for service in ("scheduler", "notifier", "adherence"):
        engine = create_async_engine(asyncpg_url(database.url(service)), poolclass=NullPool)
        async with engine.begin() as conn:
            await conn.run_sync(metadata_for(service).create_all)
        await engine.dispose()


@pytest.fixture(scope="session")
def core_template(empty_template: Database) -> Database:
    """The shared tables of every service, straight from the metadata: what the migrations must come to as well."""
    name = "template_core"
    empty_template.server.sql('create database :"name" template :"source"', name=name, source=empty_template.name)
    template = Database(name, empty_template.server, empty_template.passwords)
    asyncio.run(_make_tables(template))
    return template


@pytest.fixture
def core_database(core_template: Database) -> Iterator[Database]:
    with clone_of(core_template) as fresh:
        yield fresh


@pytest.fixture
async def bench(core_database: Database, fresh_kafka: Broker) -> AsyncIterator[Bench]:
    made = Bench(core_database, fresh_kafka.bootstrap)
    yield made
    await made.close()


@pytest.fixture
async def dry_bench(core_database: Database) -> AsyncIterator[Bench]:
    """Without a broker."""
    made = Bench(core_database, "127.0.0.1:1")
    yield made
    await made.close()
