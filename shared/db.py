"""PostgreSQL: engine, one schema and role per service, the patient lock, migrations.

`python -m shared.db migrate SERVICE|all` brings schemas up to date; `python -m shared.db revise SERVICE "why"` writes a migration
from what the tables in the code have and the database has not (see `shared.schema`).
"""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    MetaData,
    Text,
    TextClause,
    bindparam,
    event,
    literal_column,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from shared.messaging.tables import CoreTables

#: Names of constraints are given, so that a migration can name what it changes.
_NAMING = {
    "pk": "%(table_name)s_pkey",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}


@cache
def metadata_for(service: str) -> MetaData:
    """The one MetaData of a service (schema = its name), with the shared tables in it; a service's storage adds its own."""
    from shared.house_tables import house_tables  # noqa: PLC0415  as below
    from shared.messaging.tables import core_tables  # noqa: PLC0415  tables need the naming above, not the other way round
    from shared.restore.table import restore_table  # noqa: PLC0415  as above

    metadata = MetaData(schema=service, naming_convention=_NAMING)
    core_tables(metadata)
    house_tables(metadata)
    restore_table(metadata)
    return metadata


def tables_of(service: str) -> CoreTables:
    """The shared tables of a service."""
    from shared.messaging.tables import core_tables  # noqa: PLC0415

    return core_tables(metadata_for(service))


@cache
def sql(service: str, statement: str) -> TextClause:
    """A statement in which ~ stands for the service's schema, one of our own names. Made once: making one costs as much as
    running it."""
    return text(statement.replace("~", f"{service}."))


@cache
def typed_sql(
    service: str, statement: str, *, columns: tuple[tuple[str, Any], ...] = (), binds: tuple[tuple[str, Any], ...] = ()
) -> Executable:
    """As `sql`, where results or parameters are of a type that the driver does not know by itself."""
    found = sql(service, statement).bindparams(*(bindparam(name, type_=kind) for name, kind in binds))
    return found.columns(**dict(columns)) if columns else found


def spelt_out(word: str) -> ColumnElement[str]:
    """One of our own words, in a statement as it stands and not as a parameter: only so does a plan that PostgreSQL makes once
    for all parameters use an index over the rows in one state (otherwise it plans anew at every execution)."""
    return literal_column(f"'{word}'", Text)


def _jsonable(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def to_json(value: Any) -> str:
    """JSON of what goes into jsonb: instants and dates as ISO 8601, ids and decimals as text. Raises TypeError for the rest."""
    return json.dumps(value, default=_jsonable, separators=(",", ":"))


def asyncpg_url(url: str) -> URL:
    """A PostgreSQL address as SQLAlchemy needs it, whichever driver it names."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def make_engine(url: str, *, service: str, pool_size: int = 10, max_overflow: int = 0) -> AsyncEngine:
    """The engine of one process. Errors never hold a parameter; a connection whose server has gone is replaced before use."""
    engine = create_async_engine(
        asyncpg_url(url),
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=10,
        # The one used last comes first: fewer connections have to learn every statement.
        pool_use_lifo=True,
        json_serializer=to_json,
        connect_args={
            "prepared_statement_cache_size": 500,
            "timeout": 10,
            "server_settings": {"application_name": f"steadypath.{service}", "timezone": "UTC", "random_page_cost": "1.1"},
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_closed)
    return engine


def _replace_if_closed(dbapi: Any, record: object, proxy: object) -> None:
    """In place of `pool_pre_ping`, which asks the server with two round trips at every checkout: a server that ended or was
    killed has closed its sockets, and asyncpg knows that without asking (decision 0141). The pool then connects anew."""
    if dbapi.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")


def reader(engine: AsyncEngine) -> AsyncEngine:
    """The same pool for single reads: each statement stands for itself, one round trip instead of three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


async def migrate(service: str, url: str) -> None:
    """Brings the service's schema up to date (see `shared.schema`)."""
    from shared import schema  # noqa: PLC0415  alembic is not needed by a running service

    await schema.migrate(service, url)


async def create_schema_and_role(admin_url: str, service: str, password: str) -> str:
    """Makes the service's role and schema as an administrator; the address for the service (see `shared.schema`)."""
    from shared import schema  # noqa: PLC0415

    return await schema.create_schema_and_role(admin_url, service, password)


if __name__ == "__main__":
    from shared.schema import main

    raise SystemExit(main(sys.argv[1:]))
