"""A new data key: everything is found and read all the while, everything is sealed again, and the old key can go."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import LargeBinary, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifier.app import SPEC
from services.notifier.newcomers import sealed
from services.notifier.storage import contact_rows, heard
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import inbound
from shared import rotation
from shared.crypto import CannotOpen, FieldCipher
from shared.db import make_engine, metadata_for
from shared.embedded import spawn
from shared.events.registry import SERVICES
from shared.house_tables import house_tables
from shared.messaging.unit import Unit
from shared.rotation import before_serving, left, reseal, tables_of
from steadypath.rotation import SPECS
from tests.support.parts import Database
from tests.support.stack import ROOT, free_port
from tests.support.waiting import wait_until

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE, WHILE, AFTER = FieldCipher.of({1: OLD}), FieldCipher.of({2: NEW, 1: OLD}), FieldCipher.of({2: NEW})
NUMBER = "+12025550142"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLINIC, PATIENT, AUDIT = uuid4(), uuid4(), uuid4()
TABLES = tables_of("notifier", SPEC.sealed)
#: Bytes that no data key has sealed, or that are gone within days.
NOT_SEALED = {"outbox.body", "parked.body", "parked.raw_key", "api_key.sha256", "idempotency.key_hash", "idempotency.fingerprint"}
SHORT_LIVED = {"idempotency.answer"}


@asynccontextmanager
async def unit_of(database: Database, cipher: FieldCipher) -> AsyncIterator[Unit]:
    async with engine_of(database) as engine, engine.begin() as conn:
        yield Unit(conn, now=NOW, service="notifier", cipher=cipher)


@asynccontextmanager
async def engine_of(database: Database) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database.url("notifier"), service="notifier")
    try:
        yield engine
    finally:
        await engine.dispose()


async def a_patient_who_wrote(database: Database) -> None:
    async with unit_of(database, BEFORE) as unit:
        wanted = {"name": "Canary Quillfeather", "alias": None, "number": NUMBER, "language": "en", "privacy": "discreet"}
        row = sealed(unit, PATIENT, wanted) | {"clinic_id": CLINIC, "role": "patient"}
        await contact_rows.insert_contacts(unit, {PATIENT: row})
        await heard.store(unit, Inbound("SM1", NUMBER, "+12025550100", "feeling better", "webhook"), CLINIC, [PATIENT])
        audit = house_tables(metadata_for("notifier")).audit
        who = {"audit_id": AUDIT, "clinic_id": CLINIC, "at": NOW, "key_id": uuid4(), "author": "front-desk", "method": "PUT"}
        reason = BEFORE.seal("moved", table="audit", column="reason", row=AUDIT)
        await unit.conn.execute(insert(audit).values(**who, route="/x", objects={}, reason=reason, correlation_id=uuid4()))


async def found(database: Database, cipher: FieldCipher) -> list[UUID]:
    async with unit_of(database, cipher) as unit:
        return [one.id for one in await contact_rows.by_number(unit, contact_rows.number_index(unit, NUMBER), [])]


async def read(database: Database, cipher: FieldCipher) -> tuple[str | None, str]:
    async with unit_of(database, cipher) as unit:
        known = await contact_rows.needed(unit, PATIENT)
        row = (await unit.conn.execute(select(inbound))).one()
        return contact_rows.opened(unit, PATIENT, "name", known.name_sealed), heard.body_of(unit, row)


async def test_look_ups_work_from_the_first_request_under_the_new_key(database: Database) -> None:
    await a_patient_who_wrote(database)
    assert await found(database, WHILE) == [], "an index is its key's"
    async with engine_of(database) as engine:
        await before_serving(engine, "notifier", SPEC.sealed, WHILE)
    assert await found(database, WHILE) == [PATIENT]
    assert await read(database, WHILE) == ("Canary Quillfeather", "feeling better")


async def test_everything_is_sealed_again_and_the_old_key_can_go(database: Database) -> None:
    await a_patient_who_wrote(database)
    async with engine_of(database) as engine:
        async with engine.connect() as conn:
            counts = {name: count for name, count in (await left(conn, TABLES, 2)).items() if count}
        assert counts == {"contact": 1, "inbound": 1, "audit": 1}
        with pytest.raises(CannotOpen):
            await read(database, AFTER)
        assert [await reseal(engine, TABLES, WHILE) for _ in range(2)] == [3, 0]
        with pytest.raises(DBAPIError, match="append-only"):
            async with engine.begin() as conn:
                await conn.execute(text("UPDATE notifier.audit SET reason = NULL"))
    assert await found(database, AFTER) == [PATIENT]
    assert await read(database, AFTER) == ("Canary Quillfeather", "feeling better")
    with pytest.raises(CannotOpen):
        await read(database, BEFORE)


async def test_more_rows_than_a_batch_holds_are_all_sealed_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_AT_A_TIME", 2)
    async with unit_of(database, BEFORE) as unit:
        for nth in range(5):
            await heard.store(unit, Inbound(f"SM{nth}", NUMBER, "+12025550100", "yes", "webhook"), CLINIC, [PATIENT])
    async with engine_of(database) as engine:
        async with asyncio.timeout(30):  # mutant: what is sealed again is found again, and the process never serves
            await before_serving(engine, "notifier", SPEC.sealed, WHILE)
        async with engine.connect() as conn:
            assert set((await left(conn, TABLES, 2)).values()) == {0}


def environment(database: Database, keys: Mapping[int, bytes]) -> dict[str, str]:
    """Of a notifier and of the command beside it. No broker: neither needs one to seal again."""
    return os.environ | {
        "STEADYPATH_DATABASE_URL": database.url("notifier"),
        "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "STEADYPATH_DATA_KEY": ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in keys.items()),
        "STEADYPATH_TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
        "STEADYPATH_TWILIO_AUTH_TOKEN": "a-token-of-this-test",
        "STEADYPATH_PUBLIC_BASE_URL": "http://127.0.0.1:1",
        "PYTHONPATH": str(ROOT),
    }


def run(module: str, env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *arguments], env=env, capture_output=True, text=True, check=False)


@contextmanager
def notifier(env: Mapping[str, str]) -> Iterator[None]:
    """A process of it, from when it takes requests; killed afterwards."""
    port = free_port()
    command = spawn.tied(spawn.python("services.notifier", "--role", "web"))

    def ready() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
        return False

    with subprocess.Popen(command, env={**env, "STEADYPATH_PORT": str(port)}) as process:
        try:
            wait_until(ready, within=40, what="the notifier is ready")
            yield
        finally:
            process.kill()


async def test_a_process_seals_again_what_look_ups_go_by_before_it_is_ready(database: Database) -> None:
    await a_patient_who_wrote(database)
    with notifier(environment(database, {2: NEW, 1: OLD})):
        assert await found(database, WHILE) == [PATIENT]


async def test_the_command_does_it_and_says_what_is_left(database: Database) -> None:
    await a_patient_who_wrote(database)
    env = environment(database, {2: NEW, 1: OLD})
    before, done, after = [run("steadypath.rotation", env, command, "notifier") for command in ("left", "reseal", "left")]
    assert (before.returncode, done.returncode, after.returncode) == (1, 0, 0), (before.stderr, done.stderr, after.stderr)
    assert "'contact': 1" in before.stdout
    assert "3 rows sealed again" in done.stdout
    assert await found(database, AFTER) == [PATIENT]


async def test_the_command_says_in_one_line_what_it_cannot_do(database: Database) -> None:
    await a_patient_who_wrote(database)
    without_old = environment(database, {2: NEW})
    missing = run("steadypath.rotation", without_old, "reseal", "notifier")
    assert (missing.returncode, missing.stderr) == (1, "error: sealed under a key that is not loaded\n")
    nowhere = without_old | {"STEADYPATH_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    away = run("steadypath.rotation", nowhere, "left", "notifier")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("error: the database of notifier cannot be used (")
    assert away.stderr.count("\n") == 1


def test_where_the_command_was_nothing_looks_done(database: Database) -> None:
    old = run("shared.rotation", environment(database, {2: NEW, 1: OLD}), "left", "notifier")
    assert old.returncode == 1
    assert "steadypath.rotation" in old.stderr


def test_the_command_knows_every_service() -> None:
    assert sorted(SPECS) == sorted(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_no_sealed_column_is_forgotten(service: str) -> None:
    tables = tables_of(service, SPECS[service].sealed)
    known = {f"{one.table.name}.{each.column}" for one in tables for each in one.columns}
    known |= {f"{one.table.name}.{each.index[0]}" for one in tables for each in one.columns if each.index}
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata_for(service).tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert binary - known == NOT_SEALED | SHORT_LIVED
