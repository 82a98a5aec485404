"""Schemas, roles and migrations: what `python -m shared.db` does.

A service's first migration is written from its tables: with a database that has the schema and its role but no table,
`STEADYPATH_DATABASE_URL=... python -m shared.db revise scheduler "first tables"` puts a file into
services/scheduler/migrations/versions/, which its owner reads, mends and commits. Later ones likewise: the difference between
the tables in the code and the database. `migrate SERVICE|all` applies them; with STEADYPATH_ADMIN_URL it first makes schemas and
roles, with the passwords in the folder STEADYPATH_ROLE_PASSWORDS (a file SERVICE_password each), and connects as the roles.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from shared.db import asyncpg_url
from shared.events.registry import SERVICES
from shared.house_tables import append_only_ddl

_ROOT = Path(__file__).resolve().parent.parent
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('steadypath/migrate/' || :service, 0))"
#: The relay waits for the oldest running transaction, so none of a service's may run for long (DESIGN.md 3).
_ROLE_SETTINGS = {"transaction_timeout": "30s", "idle_in_transaction_session_timeout": "10s"}


def _engine(url: str) -> AsyncEngine:
    """search_path public: alembic must not take the service's schema for the nameless default one."""
    settings = {"application_name": "steadypath.migrate", "search_path": "public"}
    return create_async_engine(
        asyncpg_url(url), poolclass=NullPool, hide_parameters=True, connect_args={"server_settings": settings}
    )


def _config(service: str, connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "shared" / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(_ROOT / "services" / service / "migrations" / "versions"))
    config.attributes.update(service=service, connection=connection)
    return config


async def create_schema_and_role(admin_url: str, service: str, password: str) -> str:
    """Makes the service's role and schema, or brings them up to date; the address to connect with. Runs as an administrator."""
    if service not in SERVICES:
        raise ValueError("no service of that name")
    role = f"steadypath_{service}"
    engine = _engine(admin_url)
    try:
        async with engine.begin() as conn:
            await _make(conn, service, role, password)
    finally:
        await engine.dispose()
    return asyncpg_url(admin_url).set(username=role, password=password).render_as_string(hide_password=False)


async def _make(conn: AsyncConnection, service: str, role: str, password: str) -> None:
    await conn.execute(text(_ONE_AT_A_TIME), {"service": "roles"})
    known = await conn.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
    if known.first() is None:
        await conn.execute(text(f"CREATE ROLE {role} LOGIN"))
    await conn.exec_driver_sql(await _password_statement(conn, role, password))
    for name, value in _ROLE_SETTINGS.items():
        await conn.execute(text(f"ALTER ROLE {role} SET {name} = '{value}'"))
    await conn.execute(text(f"ALTER ROLE {role} SET search_path = {service}"))
    await conn.execute(text("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
    # A managed database's administrator is no superuser: it must bear the role to hand it a schema.
    await conn.execute(text(f"GRANT {role} TO CURRENT_USER"))
    await conn.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {role}"))


async def _password_statement(conn: AsyncConnection, role: str, password: str) -> str:
    """DDL takes no bind parameter, so PostgreSQL itself quotes the password."""
    statement = text("SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', CAST(:role AS text), CAST(:password AS text))")
    return str((await conn.execute(statement, {"role": role, "password": password})).scalar_one())


async def _alembic(service: str, url: str, step: Callable[[Config], object]) -> None:
    """Runs an alembic command on one connection, in one transaction, one process at a time for each service."""
    engine = _engine(url)
    try:
        async with engine.begin() as conn:
            await conn.execute(text("SET LOCAL transaction_timeout = 0"))
            await conn.execute(text(_ONE_AT_A_TIME), {"service": service})
            await conn.run_sync(lambda sync: step(_config(service, sync)))
    finally:
        await engine.dispose()


def _load_tables(service: str) -> None:
    """A service's tables are in its metadata once its storage is imported."""
    import_module(f"services.{service}.storage")


async def migrate(service: str, url: str) -> None:
    """Brings the service's schema up to date; with nothing to do, changes nothing. A schema of a later release is left as it is:
    this release works on it, and whoever goes back to it must be able to start it (docs/operations/upgrade.md)."""

    def upgrade(config: Config) -> None:
        connection: Connection = config.attributes["connection"]
        if later := _later_than_ours(service, config, connection):
            sys.stdout.write(f"{service}: the schema is of a later release ({', '.join(later)}); left as it is\n")
            return
        command.upgrade(config, "head")
        for statement in append_only_ddl(service):
            connection.execute(text(statement))

    await _alembic(service, url, upgrade)


def _later_than_ours(service: str, config: Config, connection: Connection) -> list[str]:
    """Revisions that the database has and this release's files do not know."""
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    there = MigrationContext.configure(connection, opts={"version_table_schema": service}).get_current_heads()
    return sorted(set(there) - known)


async def revise(service: str, url: str, why: str) -> None:
    """Writes a migration from what the code's tables have and the (migrated) database has not."""
    _load_tables(service)

    def write(config: Config) -> None:
        command.revision(config, message=why, autogenerate=True)

    (_ROOT / "services" / service / "migrations" / "versions").mkdir(parents=True, exist_ok=True)
    await _alembic(service, url, write)


def setting(name: str) -> str | None:
    """A setting of the environment, or of the file that `..._FILE` names."""
    value = os.environ.get(name)
    if value:
        return value
    path = os.environ.get(f"{name}_FILE")
    return Path(path).read_text("utf-8").strip() if path else None


async def _url_for(service: str) -> str:
    admin, passwords = setting("STEADYPATH_ADMIN_URL"), os.environ.get("STEADYPATH_ROLE_PASSWORDS")
    if admin and passwords:
        password = await asyncio.to_thread((Path(passwords) / f"{service}_password").read_text, "utf-8")
        return await create_schema_and_role(admin, service, password.strip())
    url = setting("STEADYPATH_DATABASE_URL")
    if not url:
        raise SystemExit("error: set STEADYPATH_DATABASE_URL, or STEADYPATH_ADMIN_URL and STEADYPATH_ROLE_PASSWORDS")
    return url


async def _run(args: argparse.Namespace) -> None:
    for service in SERVICES if args.service == "all" else (args.service,):
        url = await _url_for(service)
        if args.command == "migrate":
            await migrate(service, url)
        else:
            await revise(service, url, args.why)


def main(argv: list[str]) -> int:
    """Exit codes: 0 done, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m shared.db", description="Schemas and migrations of the services.")
    commands = parser.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser("migrate", help="bring schemas up to date")
    migrating.add_argument("service", choices=(*SERVICES, "all"))
    revising = commands.add_parser("revise", help="write a migration from the tables in the code")
    revising.add_argument("service", choices=SERVICES)
    revising.add_argument("why")
    asyncio.run(_run(parser.parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
