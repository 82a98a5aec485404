"""The parked-event desk: what could not be handled waits here with its whole key behind it, until a person decides."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of

OPEN = ("parked", "behind")


async def is_parked(conn: AsyncConnection, service: str, key: UUID) -> bool:
    """Whether an event or due work of this key waits for a person."""
    tables = tables_of(service)
    events = exists().where(tables.parked.c.key == key, tables.parked.c.state.in_(OPEN))
    work = exists().where(tables.due_work.c.key == key, tables.due_work.c.state == "parked")
    return bool((await conn.execute(select(or_(events, work)))).scalar_one())
