"""A notice: what a person must repair. It is a row, written in the transaction of what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import RowMapping
from sqlalchemy.dialects.postgresql import insert

from shared.db import metadata_for
from shared.events.base import stable_id
from shared.house_tables import house_tables
from shared.ops.kinds import WORDS

if TYPE_CHECKING:
    from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Notice:
    """As the channels deliver it. `at` is clinical, aware UTC; `details` are slugs, counts and our own ids."""

    id: UUID
    service: str
    kind: str
    at: datetime
    details: Mapping[str, str | int]


def notice_of(service: str, row: RowMapping) -> Notice:
    return Notice(row["notice_id"], service, row["kind"], row["at"], row["details"])


async def ops_say(
    unit: Unit,
    kind: str,
    details: Mapping[str, str | int] | None = None,
    *,
    dedup: str | None = None,
    clinic_id: UUID | None = None,
) -> None:
    """Writes a notice in this transaction and wakes the pass "ops". `kind` is one of `WORDS` (KeyError else); `details` hold
    slugs, counts and our own ids, never a name or a number. The same (kind, dedup) is said once, however often it is written."""
    if kind not in WORDS:
        raise KeyError(kind)
    table = house_tables(metadata_for(unit.service)).ops_notice
    key = dedup or str(uuid4())
    statement = insert(table).values(
        notice_id=stable_id(unit.service, "ops", kind, key),
        clinic_id=clinic_id,
        kind=kind,
        dedup=key,
        details=dict(details or {}),
        at=unit.now,
        next_at=unit.now,
    )
    await unit.conn.execute(statement.on_conflict_do_nothing())
    unit.after_commit("ops")
