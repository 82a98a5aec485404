"""Which of many keys wait for a person: one question for a whole batch."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.messaging.parking import OPEN


async def among(conn: AsyncConnection, keys: Iterable[UUID]) -> set[UUID]:
    """Those of `keys` of which an event or a piece of due work is parked (DESIGN.md rule 10)."""
    wanted, tables = list(keys), tables_of("scheduler")
    events = select(tables.parked.c.key).where(tables.parked.c.key.in_(wanted), tables.parked.c.state.in_(OPEN))
    work = select(tables.due_work.c.key).where(tables.due_work.c.key.in_(wanted), tables.due_work.c.state == "parked")
    return set((await conn.execute(union(events, work))).scalars())
