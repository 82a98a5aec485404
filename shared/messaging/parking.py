"""The parked-event desk: what could not be handled waits here with its whole key behind it, until a person decides.

Parking parks the key, not the record: a dose change that is passed over would let the next reminder state the old dose. Events
that may not wait (opt-out, crisis, alerts; `Event.passes_parking`) are handled even so.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, Select, any_, bindparam, exists, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import tables_of
from shared.messaging.reading import Arrived

OPEN = ("parked", "behind")


async def is_parked(conn: AsyncConnection, service: str, key: UUID) -> bool:
    """Whether an event or due work of this key waits for a person."""
    tables = tables_of(service)
    work = exists().where(tables.due_work.c.key == key, tables.due_work.c.state == "parked")
    return bool((await conn.execute(select(or_(_open_event(service, key), work)))).scalar_one())


def _open_event(service: str, key: UUID) -> ColumnElement[bool]:
    parked = tables_of(service).parked
    return exists().where(parked.c.key == key, parked.c.state.in_(OPEN))


async def blocked_keys(conn: AsyncConnection, service: str, keys: Iterable[UUID]) -> set[UUID]:
    """Those of the keys behind which a further event has to wait. The caller holds their patient locks."""
    return set((await conn.execute(_blocked(service), {"keys": list(set(keys))})).scalars())


@cache
def _blocked(service: str) -> Select[UUID]:
    parked = tables_of(service).parked
    among = parked.c.key == any_(bindparam("keys", type_=ARRAY(parked.c.key.type)))
    return select(parked.c.key).distinct().where(among, parked.c.state.in_(OPEN))


async def park(conn: AsyncConnection, service: str, arrived: Arrived, *, now: datetime, error: str | None, attempts: int) -> None:
    """Puts a record away with its bytes as they came. `error` None: nothing is wrong with it, it waits behind another."""
    record, event = arrived.record, arrived.event
    row = {
        "event_id": arrived.event_id,
        "topic": record.topic,
        "partition": record.partition,
        "record_offset": record.offset,
        "key": arrived.key,
        "clinic_id": event.clinic_id if event is not None else None,
        "raw_key": record.key,
        "type": arrived.envelope.type if arrived.envelope is not None else None,
        "headers": [[name, _text(value)] for name, value in record.headers],
        "body": record.value,
        "error": error,
        "attempts": attempts,
        "state": "parked" if error is not None else "behind",
        "parked_at": now,
    }
    statement = insert(tables_of(service).parked).values(row)
    await conn.execute(statement.on_conflict_do_nothing(index_elements=["event_id"]))


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def raw_headers(stored: Iterable[tuple[str, str | None]]) -> list[tuple[str, bytes | None]]:
    """Headers as they came, from how they were put away."""
    return [(name, None if value is None else base64.b64decode(value)) for name, value in stored]
