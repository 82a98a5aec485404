"""Which events have had their effect. A row is written in the effect's own transaction: an event that returns changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import sql, typed_sql

_ID = PG_UUID(as_uuid=True)
_IDS = ARRAY(_ID)


async def enter(conn: AsyncConnection, service: str, ids: Sequence[UUID]) -> set[UUID]:
    """Writes the ids down; those that were not there before, whose events are therefore still to be handled."""
    fresh, _ = await admit(conn, service, ids, ())
    return fresh


async def admit(conn: AsyncConnection, service: str, ids: Sequence[UUID], keys: Iterable[UUID]) -> tuple[set[UUID], set[UUID]]:
    """As `enter`, and behind which of the keys a further event has to wait (parking): one question instead of two. The caller
    holds the keys' patient locks; they were taken by a statement before this one, so it sees all that was parked under them."""
    said = (
        "WITH fresh AS (INSERT INTO ~inbox (event_id) SELECT unnest(:ids) ON CONFLICT DO NOTHING RETURNING event_id) "
        "SELECT ARRAY(SELECT event_id FROM fresh) AS fresh, "
        "ARRAY(SELECT key FROM ~parked WHERE key = ANY(:keys) AND state IN ('parked', 'behind')) AS blocked"
    )
    columns, binds = (("fresh", _IDS), ("blocked", _IDS)), (("ids", _IDS), ("keys", _IDS))
    statement = typed_sql(service, said, columns=columns, binds=binds)
    row = (await conn.execute(statement, {"ids": list(dict.fromkeys(ids)), "keys": list(set(keys))})).one()
    return set(row.fresh), set(row.blocked)


async def prune(conn: AsyncConnection, service: str, keep: timedelta, limit: int) -> int:
    """Forgets rows older than every way their event can return; how many went."""
    statement = sql(
        service,
        "DELETE FROM ~inbox WHERE event_id IN (SELECT event_id FROM ~inbox "
        "WHERE received_machine < clock_timestamp() - CAST(:keep AS interval) ORDER BY received_machine LIMIT :limit)",
    )
    return (await conn.execute(statement, {"keep": keep, "limit": limit})).rowcount
