"""Real parts for the proofs of this folder: a broker of the kind that the run has chosen, PostgreSQL that can be killed, and a
world of replicas for each test. The choice of broker is said at the top of the run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.embedded.postgres import Postgres
from tests.cluster.clinic import Clinic
from tests.support import cluster_broker
from tests.support.cluster_broker import ClusterBroker, Unavailable
from tests.support.cluster_database import Server
from tests.support.cluster_world import World
from tests.support.parts import Database

#: Monday, 05:00 in New York: the clinic's first day lies ahead.
BEGINS = datetime(2026, 12, 7, 10, tzinfo=UTC)


def pytest_report_header() -> str:
    return f"broker of the cluster proofs: {cluster_broker.describe()}"


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.end(signal.SIGINT)


@pytest.fixture(scope="session")
def postgres_server(database_server: Server) -> Postgres:
    """What the fixtures of tests/conftest.py build databases on; here it is the server that may be killed."""
    return database_server.postgres


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ClusterBroker]:
    """A broker of this test's own, running."""
    try:
        made = cluster_broker.new_broker(tmp_path / "broker")
    except Unavailable as why:
        pytest.fail(str(why))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def real_broker(broker: ClusterBroker) -> ClusterBroker:
    """Asked for by proofs that another broker than Apache Kafka cannot give."""
    if not broker.real:
        pytest.skip(
            f"needs a real Apache Kafka (groups of several members, logs that outlive the broker); this run: {broker.kind}"
        )
    return broker


@pytest.fixture
def world(tmp_path: Path, broker: ClusterBroker, database: Database) -> Iterator[World]:
    """Not started: the test says how many replicas it wants. After a test that has passed, nothing it wrote names a patient."""
    folder = tmp_path / "world"
    folder.mkdir()
    made = World(folder, broker, database, BEGINS)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def started(world: World) -> Iterator[Callable[..., Clinic]]:
    """`started(notifier=2)`: the world with so many replicas, and its clinic. At the end its files are searched for canaries."""
    made: list[Clinic] = []

    def start(**replicas: int) -> Clinic:
        world.start(**replicas)
        made.append(Clinic(world))
        return made[0]

    yield start
    leaks = [leak for clinic in made for leak in clinic.leaks()]
    assert not leaks, "\n".join(leaks[:40])


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end no process that a proof has started still runs. A session without proofs (the judge's own tests among many
    others) has other things running."""
    yield
    if not any(item.get_closest_marker("cluster") for item in request.session.items):
        return
    left = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _ours(entry)]
    assert not left, f"still running: {[(entry.name, (entry / 'cmdline').read_bytes()) for entry in left]}"


def _ours(entry: Path) -> bool:
    """A child of this process that is no zombie and none of pytest's own helpers."""
    try:
        state, parent = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
        command = (entry / "cmdline").read_bytes()
    except OSError:
        return False
    return int(parent) == os.getpid() and state not in "ZX" and b"multiprocessing" not in command
