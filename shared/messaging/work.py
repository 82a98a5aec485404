"""Rows of due work: planning, dropping. What fires them is `shared.due`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import delete, tuple_
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of

#: Due work of a service that can tell the clinic of a parked key: it is looked at again half an hour after it was parked, so that
#: ops has had time to release it, and the clinic hears within the hour (DESIGN.md rule 10).
KEY_PARKED = "key-parked"


@dataclass(frozen=True)
class WorkItem:
    """One piece of due work, as its fire gets it. `due_at` is clinical, aware UTC; `attempts` counts failed fires before."""

    kind: str
    ref: str
    key: UUID
    clinic_id: UUID
    due_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0


@dataclass(frozen=True)
class Planned:
    """Due work as planned in a transaction that has not been written yet."""

    kind: str
    ref: str
    key: UUID
    clinic_id: UUID
    due_at: datetime
    data: dict[str, Any]


async def write(conn: AsyncConnection, service: str, planned: Mapping[tuple[str, str], Planned | None]) -> None:
    """Makes the rows what the transaction last said of each (kind, ref). Rows in key order, so that two never deadlock."""
    dropped = sorted(key for key, item in planned.items() if item is None)
    kept = [planned[key] for key in sorted(key for key, item in planned.items() if item is not None)]
    if dropped:
        due_work = tables_of(service).due_work
        await conn.execute(delete(due_work).where(tuple_(due_work.c.kind, due_work.c.ref).in_(dropped)))
    if not kept:
        return
    await conn.execute(_upsert(service), [vars(item) for item in kept if item is not None])


@cache
def _upsert(service: str) -> Insert:
    statement = insert(tables_of(service).due_work)
    fresh = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["kind", "ref"],
        set_={
            "key": fresh.key,
            "clinic_id": fresh.clinic_id,
            "due_at": fresh.due_at,
            "data": fresh.data,
            "attempts": 0,
            "state": "waiting",
            "error": None,
        },
    )


__all__ = ["Planned", "WorkItem", "write"]
