"""Sealing again under the present data key what an older one sealed. `steadypath/rotation.py` is the command for it.

Every sealed field begins with the id of its key, so both keys are in use side by side while this runs, batch by batch, beside the
running service. A blind index is made anew in the same statement as the field that it is of. Where look-ups go by it (`first`)
that happens before the service takes its first request under the new key (`before_serving`), so no look-up ever misses.
What a service keeps sealed it declares itself (`ServiceSpec.sealed`). docs/operations/key-rotation.md has the order of the steps;
decision 0191.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.crypto import FieldCipher
from shared.db import metadata_for
from shared.house_tables import house_tables
from shared.logs import log
from shared.messaging.tables import core_tables

_AT_A_TIME = 200
_EVERY_ROW = "true"


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


def tables_of(service: str, own: Sequence[SealedTable]) -> tuple[SealedTable, ...]:
    """Everything that the service seals and keeps: its own, and what every service does. Not stored answers of commands:
    they are gone within days."""
    metadata = metadata_for(service)
    audit, parked = house_tables(metadata).audit, core_tables(metadata).parked
    return (
        *own,
        SealedTable(audit, "audit_id", (Sealed("reason", ("audit", "reason")),), guard="audit_append_only"),
        SealedTable(parked, "event_id", (Sealed("reason", ("parked", "reason")),)),
    )


def _old(one: SealedTable, key_id: int) -> Any:
    columns = [one.table.c[each.column] for each in one.columns]
    return or_(*(and_(column.is_not(None), func.get_byte(column, 0) != key_id) for column in columns))


async def left(conn: AsyncConnection, tables: Sequence[SealedTable], key_id: int) -> Mapping[str, int]:
    """By table, how many rows hold something that another key than this one sealed."""
    counts = {}
    for one in tables:
        found = await conn.execute(select(func.count()).select_from(one.table).where(_old(one, key_id)))
        counts[one.table.name] = int(found.scalar_one())
    return counts


async def reseal(engine: AsyncEngine, tables: Sequence[SealedTable], cipher: FieldCipher) -> int:
    """Seals again until nothing is left; how many rows. Raises CannotOpen where a key is not loaded."""
    return sum([await _in_batches(engine, one, cipher, _EVERY_ROW) for one in tables])


async def before_serving(engine: AsyncEngine, service: str, own: Sequence[SealedTable], cipher: FieldCipher) -> None:
    """At the start of a process, while an older key is loaded too: what look-ups go by is under the present one before anything
    is looked up. No process under the older key may run beside it any more: it would not find what this one has sealed again."""
    if not cipher.changing:
        return
    count = sum([await _in_batches(engine, one, cipher, one.first) for one in own if one.first is not None])
    if count:
        log("sealed again", service=service, rows=count)


async def _in_batches(engine: AsyncEngine, one: SealedTable, cipher: FieldCipher, among: str) -> int:
    """Seals the table's rows again, those of which the SQL condition holds, a batch a transaction; how many."""
    done = 0
    while True:
        async with engine.begin() as conn:
            rows = await _batch(conn, one, cipher, among)
        done += rows
        if rows < _AT_A_TIME:
            return done


async def _batch(conn: AsyncConnection, one: SealedTable, cipher: FieldCipher, among: str) -> int:
    # In brackets: the condition may hold an OR, which must not reach rows that are sealed again already.
    key = next(iter(one.table.primary_key.columns))
    wanted = select(one.table).where(_old(one, cipher.key_id), text(f"({among})")).order_by(key).limit(_AT_A_TIME)
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


if __name__ == "__main__":
    # The command stood here. Where nothing ran, the exit code 0 would be read as "nothing is left" under the older key.
    sys.exit("error: the command is `python -m steadypath.rotation` (docs/operations/key-rotation.md)")
