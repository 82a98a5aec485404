"""The mode of a restored database: begun by an operator, ended by the service once it has found its way back.

Beginning is SQL alone, in one transaction, so that it can follow the restore at once, whatever else is up or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import metadata_for, sql
from shared.restore.table import restore_table

#: Versions begin above the minutes since then (PostgreSQL's clock): nothing changes more than once a minute for years, so this is
#: above every version that was ever given, also where neither a topic nor a reader is left to be asked.
_EPOCH = "timestamptz '2020-01-01 00:00:00+00'"
_BEGIN = f"""
INSERT INTO ~restore_mode (state, version_base, since)
VALUES ('begun', floor(extract(epoch FROM clock_timestamp() - {_EPOCH}) / 60)::int,
        coalesce(CAST(:since AS timestamptz), (SELECT max(created_at) FROM ~outbox)))
ON CONFLICT (one) DO UPDATE SET
  state = 'begun', since = excluded.since, until = NULL, found = '{{}}',
  begun_machine = clock_timestamp(), finished_machine = NULL,
  version_base = greatest(~restore_mode.version_base + 1, excluded.version_base)
"""  # noqa: S608 - constants of ours
#: What the relay remembers of where rows went, and in which transaction they were written, is another server's: all rows that are
#: left are said again, in their order, as one transaction's. Their ids make that a no-op wherever they are known.
_FORGET = """
DELETE FROM ~relay_batch;
DELETE FROM ~group_confirmed;
UPDATE ~outbox SET txid = pg_current_xact_id();
UPDATE ~relay_lease SET epoch = epoch + 1, holder = NULL, lease_until_machine = NULL, repair_from = NULL, incarnation = NULL,
  lasts = '{}'
"""
#: Transactions that this server has not had yet: a dump, read into another server.
_AHEAD = """
SELECT EXISTS (SELECT FROM ~outbox WHERE txid >= pg_snapshot_xmax(pg_current_snapshot()))
  OR EXISTS (SELECT FROM ~relay_batch WHERE window_hi > CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint))
"""


@dataclass(frozen=True)
class Restored:
    """The row. `since` and `until`, clinical: what happened in between is forgotten; None: not known (yet)."""

    state: str
    version_base: int
    since: datetime | None
    until: datetime | None
    found: Mapping[str, Any]

    @property
    def begun(self) -> bool:
        return self.state == "begun"


async def read(conn: AsyncConnection, service: str) -> Restored | None:
    """None: this database was never restored."""
    table = restore_table(metadata_for(service))
    columns = (table.c.state, table.c.version_base, table.c.since, table.c.until, table.c.found)
    row = (await conn.execute(select(*columns))).first()
    return None if row is None else Restored(row.state, row.version_base, row.since, row.until, row.found)


async def begin(conn: AsyncConnection, service: str, since: datetime | None = None) -> Restored:
    """Puts the service into restore mode; doing it again begins again. No process of the service may be running.

    `since`: when the backup was made, where that is known; else what the outbox says last counts, which is a little earlier.
    """
    await conn.execute(text("SET LOCAL transaction_timeout = 0"))
    await conn.execute(sql(service, _BEGIN), {"since": since})
    for statement in _FORGET.split(";"):
        await conn.execute(sql(service, statement))
    found = await read(conn, service)
    if found is None:
        raise RuntimeError("the row has just been written")
    return found


async def taken_up(conn: AsyncConnection, service: str, now: datetime, lowest_base: int) -> Restored:
    """The service has begun its way back at this clinical instant (the first time counts); versions begin above `lowest_base`."""
    table = restore_table(metadata_for(service))
    known = await read(conn, service)
    if known is None:
        raise RuntimeError("only a restored database is taken up")
    until, base = known.until or now, max(known.version_base, lowest_base)
    await conn.execute(update(table).values(until=until, version_base=base))
    return Restored(known.state, base, known.since, until, known.found)


async def finish(conn: AsyncConnection, service: str, found: Mapping[str, Any]) -> None:
    """The service knows what it has to know: it works again."""
    table = restore_table(metadata_for(service))
    await conn.execute(update(table).values(state="done", found=dict(found), finished_machine=text("clock_timestamp()")))


async def version_base(conn: AsyncConnection, service: str) -> int:
    """What the first version of anything new must be above: 0, or what a restore has set."""
    known = await read(conn, service)
    return 0 if known is None else known.version_base


async def copied_elsewhere(conn: AsyncConnection, service: str) -> bool:
    """Whether the rows are another server's: the relay would never send what is said from now on."""
    return bool((await conn.execute(sql(service, _AHEAD))).scalar_one())
