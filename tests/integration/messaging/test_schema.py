"""Schemas: what the migrations make is what the code's tables say, roles are bounded, doing it again changes nothing."""

from __future__ import annotations

from importlib import import_module

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import asyncpg_url, create_schema_and_role, make_engine, metadata_for, migrate
from shared.events.registry import SERVICES
from shared.messaging.tables import Xid8
from tests.support.parts import Database


def _difference(connection: Connection, service: str) -> list[object]:
    options = {
        "include_schemas": True,
        "version_table_schema": service,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == service,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata_for(service)))


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_what_the_tables_in_the_code_say(service: str, empty_database: Database) -> None:
    import_module(f"services.{service}.storage")
    PGDialect.ischema_names["xid8"] = Xid8
    await migrate(service, empty_database.url(service))
    await migrate(service, empty_database.url(service))
    settings = {"server_settings": {"search_path": "public"}}
    engine = create_async_engine(asyncpg_url(empty_database.url(service)), poolclass=NullPool, connect_args=settings)
    async with engine.connect() as conn:
        assert await conn.run_sync(_difference, service) == []
    await engine.dispose()


async def test_a_schema_of_a_later_release_is_left_as_it_is(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Who goes back to the release before starts its `migrate` as well, and must not be stopped by it."""
    database.sql("update adherence.alembic_version set version_num = 'f0000000ffff'")
    database.sql("create table adherence.of_tomorrow (id int)")
    await migrate("adherence", database.url("adherence"))
    assert "a later release (f0000000ffff)" in capsys.readouterr().out
    assert database.sql("select version_num from adherence.alembic_version") == "f0000000ffff"
    assert database.sql("select count(*) from adherence.of_tomorrow") == "0"


async def test_a_role_is_made_once_and_its_password_follows(empty_database: Database) -> None:
    before = empty_database.url("notifier")
    after = await create_schema_and_role(empty_database.owner_url(), "notifier", "another 'password' with %s")
    try:
        engine = make_engine(after, service="notifier")
        async with engine.connect() as conn:
            assert (await conn.execute(text("SELECT current_user"))).scalar() == "steadypath_notifier"
        await engine.dispose()
    finally:
        await create_schema_and_role(empty_database.owner_url(), "notifier", empty_database.passwords["notifier"])
    assert before == empty_database.url("notifier")


async def test_a_service_cannot_see_anothers_schema(core_database: Database) -> None:
    engine = make_engine(core_database.url("notifier"), service="notifier")
    async with engine.connect() as conn:
        with pytest.raises(DBAPIError, match="permission denied"):
            await conn.execute(text("SELECT * FROM scheduler.outbox"))
    await engine.dispose()


async def test_no_other_service_can_be_made(empty_database: Database) -> None:
    with pytest.raises(ValueError, match="no service"):
        await create_schema_and_role(empty_database.owner_url(), "billing", "x")
