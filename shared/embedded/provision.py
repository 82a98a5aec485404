"""One database with a schema and a role per service, made by the cluster's owner. Said again it changes nothing but passwords."""

from __future__ import annotations

from collections.abc import Mapping

from shared.embedded.postgres import Postgres

SERVICES = ("scheduler", "notifier", "adherence")

# transaction_timeout: the relay waits for the oldest running transaction, so none may run for long (DESIGN.md 3).
_ROLE = """
select format('create role %I login', :'role') where not exists (select from pg_roles where rolname = :'role') \\gexec
alter role :"role" login password :'password';
alter role :"role" set transaction_timeout = '30s';
alter role :"role" set idle_in_transaction_session_timeout = '10s';
alter role :"role" set search_path = :"role";
"""
_DATABASE = "select format('create database %I', :'name') where :'name' not in (select datname from pg_database) \\gexec"
_SCHEMA = """
revoke all on schema public from public;
create schema if not exists :"role" authorization :"role";
"""


def provision(server: Postgres, database: str, passwords: Mapping[str, str]) -> None:
    """Make what is missing. `passwords`: one per service. Raises PostgresError."""
    for role, password in passwords.items():
        server.sql(_ROLE, role=role, password=password)
    server.sql(_DATABASE, name=database)
    for role in passwords:
        server.sql(_SCHEMA, database=database, role=role)
