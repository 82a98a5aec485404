"""The parts that every other test stands on: are they real, apart from each other, and gone afterwards?"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import AdminClient

from shared.embedded import as_child
from shared.embedded.postgres import Postgres, PostgresError
from tests.support.parts import Broker, Database


def test_each_role_sees_its_own_schema_and_no_other(empty_database: Database) -> None:
    async def tables_of_another() -> None:
        connection = await asyncpg.connect(empty_database.url("scheduler"))
        try:
            await connection.execute("create table plan (id int)")
            await connection.execute("create table notifier.message (id int)")
        finally:
            await connection.close()

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(tables_of_another())
    assert empty_database.sql("select schemaname from pg_tables where tablename = 'plan'") == "scheduler"


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_database_is_fresh_for_every_test(empty_database: Database, attempt: int) -> None:
    empty_database.sql("create table scheduler.left_behind (id int)")


def test_a_long_transaction_ends_so_that_the_relay_goes_on(empty_database: Database) -> None:
    async def limits() -> list[str]:
        connection = await asyncpg.connect(empty_database.url("notifier"))
        try:
            names = ("transaction_timeout", "idle_in_transaction_session_timeout")
            return [await connection.fetchval(f"show {name}") for name in names]
        finally:
            await connection.close()

    assert asyncio.run(limits()) == ["30s", "10s"]


def test_the_server_log_never_holds_what_a_statement_said(empty_database: Database) -> None:
    with pytest.raises(PostgresError):
        empty_database.sql("insert into nowhere values ('Canary Quillfeather')")
    log = (empty_database.server.folder / "server.log").read_text("utf-8")
    assert "nowhere" in log
    assert "Canary" not in log


def test_a_killed_broker_is_followed_by_an_empty_one(fresh_kafka: Broker, another_kafka: Callable[[], Broker]) -> None:
    fresh_kafka.process.kill()
    fresh_kafka.process.wait(10)
    after = another_kafka()
    assert after.bootstrap != fresh_kafka.bootstrap
    assert AdminClient({"bootstrap.servers": after.bootstrap}).list_topics(timeout=10).topics == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
async def test_a_new_group_is_formed_at_once(fresh_kafka: Broker) -> None:
    """By default that cluster waits three seconds for further members, which none of our groups has."""
    consumer = AIOKafkaConsumer("any.v1", bootstrap_servers=fresh_kafka.bootstrap, group_id="test.group")
    began = monotonic()
    await consumer.start()  # returns once the group is joined
    took = monotonic() - began
    await consumer.stop()
    assert took < 2.5


@pytest.mark.parametrize("way", as_child.WAYS)
def test_each_way_around_root_runs_in_a_folder_that_only_its_owner_enters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    works = as_child.works
    monkeypatch.setattr(as_child, "works", lambda asked, *rest: asked == way and works(asked, *rest))
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with Postgres(private / "postgres", durable=False).running(tmp_path / "server.log") as server:
        assert server.sql("select 1") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
def test_where_no_way_is_open_it_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_child, "works", lambda *_: False)
    with pytest.raises(PostgresError, match="use another user"):
        Postgres(tmp_path / "postgres").prepare()


def test_a_process_number_that_somebody_else_has_now_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    with Postgres(folder, durable=False).running(tmp_path / "server.log"):
        left = (folder / "cluster" / "postmaster.pid").read_text()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with stranger:
        _, _, rest = left.partition("\n")
        (folder / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
        with Postgres(folder, durable=False).running(tmp_path / "server.log") as again:
            assert again.sql("select 1") == "1"
        stranger.kill()
