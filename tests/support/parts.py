"""The real parts that tests run on: PostgreSQL 18 and a Kafka-protocol broker, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from shared.db import create_schema_and_role
from shared.embedded import spawn
from shared.embedded.postgres import Postgres
from shared.events.registry import SERVICES

_numbers = count(1)


@dataclass(frozen=True)
class Database:
    """A fresh database of a test's own, with the three schemas and roles."""

    name: str
    server: Postgres
    passwords: dict[str, str]

    def url(self, service: str) -> str:
        """As that service's role: what STEADYPATH_DATABASE_URL holds."""
        return self.server.url(f"steadypath_{service}", self.passwords[service], self.name)

    def owner_url(self) -> str:
        """As the cluster's owner, who may see all schemas."""
        return self.server.url(database=self.name)

    def sql(self, script: str, **variables: str) -> str:
        """Unaligned rows of psql, as the cluster's owner."""
        return self.server.sql(script, database=self.name, **variables)


@dataclass(frozen=True)
class Broker:
    """A broker process of a test's own, which the test may kill."""

    bootstrap: str
    process: subprocess.Popen[bytes]


def new_template(server: Postgres, name: str) -> Database:
    """Roles, schemas and no table: what every other database is cloned from."""
    template = Database(name, server, {service: secrets.token_urlsafe(16) for service in SERVICES})
    server.sql('create database :"name"', name=name)
    asyncio.run(_schemas_and_roles(template))
    return template


async def _schemas_and_roles(database: Database) -> None:
    for service, password in database.passwords.items():
        await create_schema_and_role(database.owner_url(), service, password)


@contextmanager
def clone_of(template: Database) -> Iterator[Database]:
    """A copy of a template nobody is connected to (tens of milliseconds), dropped afterwards with whoever still uses it."""
    name = f"test_{next(_numbers)}"
    template.server.sql('create database :"name" template :"source" strategy file_copy', name=name, source=template.name)
    try:
        yield Database(name, template.server, template.passwords)
    finally:
        template.server.sql('drop database if exists :"name" with (force)', name=name)


@contextmanager
def broker() -> Iterator[Broker]:
    """A new, empty broker; ended afterwards if the test has not done so."""
    process = subprocess.Popen(
        spawn.tied(spawn.python("shared.embedded.kafka")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        yield Broker(json.loads(process.stdout.readline())["bootstrap"], process)
        process.kill()
