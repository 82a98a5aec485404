"""Real parts as in tests/cluster, with a database that the earlier release makes and the present one brings up to date."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import BEGINS, broker, database_server, nothing_is_left, postgres_server
from tests.support import cluster_broker
from tests.support.cluster_broker import ClusterBroker
from tests.support.parts import Database
from tests.upgrade.release import NotHereError, Release, named_commit, past
from tests.upgrade.rolling import RollingWorld

__all__ = ["broker", "database_server", "nothing_is_left", "postgres_server"]


def pytest_report_header() -> list[str]:
    try:
        begins_at = named_commit()[:12]
    except NotHereError as why:
        begins_at = f"not run ({why})"
    return [f"upgrade from: {begins_at}", f"broker of the upgrade proofs: {cluster_broker.describe()}"]


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The release of deploy/upgrade-from; where the checkout has no history the proof is not run, and says so."""
    try:
        return past(tmp_path_factory.mktemp("releases"))
    except NotHereError as why:
        pytest.skip(f"not run: {why}")


@pytest.fixture
def world(tmp_path: Path, broker: ClusterBroker, empty_database: Database, earlier: Release) -> Iterator[RollingWorld]:
    """Not started: the earlier release's tables, and nothing in them."""
    earlier.migrate(empty_database)
    folder = tmp_path / "world"
    folder.mkdir()
    made = RollingWorld(folder, broker, empty_database, BEGINS, release=earlier)
    try:
        yield made
    finally:
        made.close()
