"""Sealing again under the present data key what an older one sealed: `python -m shared.rotation reseal|left SERVICE`.

Every sealed field begins with the id of its key, so both keys are in use side by side while this runs, batch by batch, beside the
running service. A blind index is made anew in the same statement as the field that it is of. Where look-ups go by it (`first`)
that happens before the service takes its first request under the new key (`before_serving`), so no look-up ever misses.
docs/operations/key-rotation.md has the order of the steps; decision 0191.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Row, Table, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.crypto import FieldCipher
from shared.db import make_engine, metadata_for
from shared.events.registry import SERVICES
from shared.house_tables import house_tables
from shared.logs import log
from shared.messaging.tables import core_tables
from shared.settings import Settings, SettingsError

_AT_A_TIME = 200


@dataclass(frozen=True)
class Sealed:
    """One sealed column. `bound`: (table, column) as `seal` was told; `index`: the blind index made of it, and its purpose."""

    column: str
    bound: tuple[str, str]
    index: tuple[str, str] | None = None


@dataclass(frozen=True)
class SealedTable:
    """A table with sealed columns. `row`: the column that `seal` was told as the row. `first`: which rows are looked up by their
    indexes (a condition in SQL)."""

    table: Table
    row: str
    columns: tuple[Sealed, ...]
    first: str | None = None
    #: A trigger that lets no row be changed; it is off in the transaction that seals again, and in none else.
    guard: str | None = None


def tables_of(service: str) -> tuple[SealedTable, ...]:
    """Everything that the service seals and keeps. Stored answers of commands are not among it: they are gone within days."""
    metadata = metadata_for(service)
    audit, parked = house_tables(metadata).audit, core_tables(metadata).parked
    own = import_module(f"services.{service}.sealed").TABLES if service in ("scheduler", "notifier") else ()
    return (
        *own,
        SealedTable(audit, "audit_id", (Sealed("reason", ("audit", "reason")),), guard="audit_append_only"),
        SealedTable(parked, "event_id", (Sealed("reason", ("parked", "reason")),)),
    )


def _old(one: SealedTable, key_id: int) -> Any:
    columns = [one.table.c[each.column] for each in one.columns]
    return or_(*(and_(column.is_not(None), func.get_byte(column, 0) != key_id) for column in columns))


async def left(conn: AsyncConnection, service: str, key_id: int) -> Mapping[str, int]:
    """By table, how many rows hold something that another key than this one sealed."""
    counts = {}
    for one in tables_of(service):
        found = await conn.execute(select(func.count()).select_from(one.table).where(_old(one, key_id)))
        counts[one.table.name] = int(found.scalar_one())
    return counts


async def reseal(engine: AsyncEngine, service: str, cipher: FieldCipher, *, first_only: bool = False) -> int:
    """Seals again, a batch a transaction, until nothing is left; how many rows. Raises CannotOpen where a key is not loaded."""
    done = 0
    for one in tables_of(service):
        while one.first is not None or not first_only:
            async with engine.begin() as conn:
                rows = await _batch(conn, one, cipher, one.first if first_only else None)
            done += rows
            if rows < _AT_A_TIME:
                break
    return done


async def before_serving(engine: AsyncEngine, service: str, cipher: FieldCipher) -> None:
    """At the start of a process, while an older key is loaded too: what look-ups go by is under the present one before anything
    is looked up. No process under the older key may run beside it any more: it would not find what this one has sealed again."""
    if not cipher.changing:
        return
    count = await reseal(engine, service, cipher, first_only=True)
    if count:
        log("sealed again", service=service, rows=count)


async def _batch(conn: AsyncConnection, one: SealedTable, cipher: FieldCipher, among: str | None) -> int:
    key = next(iter(one.table.primary_key.columns))
    wanted = select(one.table).where(_old(one, cipher.key_id), text(among or "true")).order_by(key).limit(_AT_A_TIME)
    rows = (await conn.execute(wanted.with_for_update())).all()
    if rows and one.guard is not None:
        await _guarded(conn, one, enabled=False)
    for row in rows:
        await conn.execute(update(one.table).where(key == row._mapping[key.name]).values(_again(one, row, cipher)))
    if rows and one.guard is not None:
        await _guarded(conn, one, enabled=True)
    return len(rows)


def _again(one: SealedTable, row: Row[Any], cipher: FieldCipher) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    place = row._mapping[one.row]
    for each in one.columns:
        blob = row._mapping[each.column]
        if blob is None:
            continue
        table, column = each.bound
        plain = cipher.open(blob, table=table, column=column, row=place)
        values[each.column] = cipher.seal(plain, table=table, column=column, row=place)
        if each.index is not None:
            index, purpose = each.index
            values[index] = cipher.blind_index(plain, purpose=purpose)
    return values


async def _guarded(conn: AsyncConnection, one: SealedTable, *, enabled: bool) -> None:
    name = f'"{one.table.schema}"."{one.table.name}"'
    await conn.execute(text(f"ALTER TABLE {name} {'ENABLE' if enabled else 'DISABLE'} TRIGGER {one.guard}"))


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done (`left`: nothing is left), 1 something is left or cannot be opened, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m shared.rotation", description="Seals again under the present data key.")
    parser.add_argument("command", choices=("reseal", "left"))
    parser.add_argument("service", choices=SERVICES)
    args = parser.parse_args(argv)
    try:
        settings = Settings.from_env(args.service)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return asyncio.run(_run(args.command, settings))


async def _run(command: str, settings: Settings) -> int:
    cipher = FieldCipher.of(settings.data_key)
    engine = make_engine(settings.database_url, service=settings.service)
    try:
        if command == "reseal":
            sys.stdout.write(f"{settings.service}: {await reseal(engine, settings.service, cipher)} rows sealed again\n")
        async with engine.connect() as conn:
            counts = await left(conn, settings.service, cipher.key_id)
    finally:
        await engine.dispose()
    rest = {name: count for name, count in counts.items() if count}
    sys.stdout.write(f"{settings.service}: left under older keys: {rest or 'nothing'}\n")
    return 1 if rest else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
