"""Fixtures on real parts. Nothing here starts before a test asks for it, so unit and contract tests stay fast."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from shared.db import migrate
from shared.embedded import kafka as embedded_kafka
from shared.embedded import postgres as embedded_postgres
from shared.embedded.postgres import Postgres
from shared.events.registry import SERVICES
from tests.support.parts import Broker, Database, broker, clone_of, new_template

# A hundred times a test starts a process of ours: compiled once, each is up a quarter sooner.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: Whole systems and processes first: they wait a lot and take long, and what is short fills the gaps at the end.
LONGEST_FIRST = ("simulation/", "integration/up/", "integration/enrol/", "/test_process.py", "/test_promises.py", "integration/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """How `make test` deals the tests out to its workers (decision 0150)."""
    return ByFile(config, log)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file to one worker, so that what a module sets up is set up once; the simulation folder to one, for it has one system
    (a rehearsal brings its own)."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder.endswith("/simulation") and not file.endswith("/test_rehearse.py") else file


def _place(item: pytest.Item) -> int:
    found = (place for place, part in enumerate(LONGEST_FIRST) if part in item.nodeid)
    return next(found, len(LONGEST_FIRST))


def pytest_report_header() -> list[str]:
    return [f"broker: {embedded_kafka.describe()}", f"database: {embedded_postgres.describe()}"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The session's PostgreSQL. Its log lies beside it in `server.log`, for the canary search."""
    folder = tmp_path_factory.mktemp("postgres")
    with Postgres(folder, durable=False).running(folder / "server.log") as server:
        yield server


@pytest.fixture(scope="session")
def empty_template(postgres_server: Postgres) -> Database:
    return new_template(postgres_server, "template_empty")


@pytest.fixture(scope="session")
def migrated_template(empty_template: Database) -> Database:
    """All three services' migrations, run once as each service's own role."""
    name = "template_migrated"
    empty_template.server.sql('create database :"name" template :"source"', name=name, source=empty_template.name)
    template = Database(name, empty_template.server, empty_template.passwords)
    for service in SERVICES:
        asyncio.run(migrate(service, template.url(service)))
    return template


@pytest.fixture
def database(migrated_template: Database) -> Iterator[Database]:
    """A fresh database of this test, with every service's tables: `database.url("scheduler")`."""
    with clone_of(migrated_template) as fresh:
        yield fresh


@pytest.fixture
def empty_database(empty_template: Database) -> Iterator[Database]:
    """A fresh database of this test: three roles and schemas, no table."""
    with clone_of(empty_template) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_database(migrated_template: Database) -> Iterator[Database]:
    """As `database`, shared by the tests of one module."""
    with clone_of(migrated_template) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    with broker() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_broker: Broker) -> str:
    """The session's broker. Tests share it: use topics or group ids of your own, or `fresh_kafka`."""
    return kafka_broker.bootstrap


@pytest.fixture
def fresh_kafka() -> Iterator[Broker]:
    """A broker of this test alone: `.bootstrap`, and `.process` which the test may kill."""
    with broker() as running:
        yield running


@pytest.fixture
def another_kafka() -> Iterator[Callable[[], Broker]]:
    """Starts one more broker at each call: what comes after a broker that was killed."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(broker())
