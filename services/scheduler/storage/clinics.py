"""A clinic's zone, routine and own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scheduler.storage.tables import CLINIC
from shared.restore.mode import version_base


@dataclass(frozen=True)
class Clinic:
    """`zone` is IANA; `routine` maps a word of the day to a local wall time; `numbers` override the defaults file."""

    id: UUID
    zone: str | None = None
    routine: Mapping[str, time] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    #: Versions of new plans begin above it: what a restore of this database has set.
    version_base: int = 0


async def load(conn: AsyncConnection, clinic_ids: Iterable[UUID]) -> dict[UUID, Clinic]:
    """The clinics, one with nothing set where nobody has put it yet."""
    wanted = set(clinic_ids)
    base = await version_base(conn, "scheduler")
    rows = (await conn.execute(select(CLINIC).where(CLINIC.c.clinic_id.in_(wanted)))).all()
    found = {row.clinic_id: Clinic(row.clinic_id, row.zone, _times(row.routine), row.numbers, base) for row in rows}
    return {one: found.get(one, Clinic(one, version_base=base)) for one in wanted}


async def save(conn: AsyncConnection, clinic: Clinic, now: datetime) -> None:
    statement = insert(CLINIC).values(
        clinic_id=clinic.id,
        zone=clinic.zone,
        routine={word: at.strftime("%H:%M") for word, at in clinic.routine.items()},
        numbers=dict(clinic.numbers),
        updated_at=now,
    )
    fresh = statement.excluded
    changes = {"zone": fresh.zone, "routine": fresh.routine, "numbers": fresh.numbers, "updated_at": fresh.updated_at}
    await conn.execute(statement.on_conflict_do_update(index_elements=["clinic_id"], set_=changes))


def _times(routine: Mapping[str, str]) -> dict[str, time]:
    return {word: time.fromisoformat(at) for word, at in routine.items()}
