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

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import spelt_out, tables_of
from shared.messaging.reading import Arrived

OPEN = ("parked", "behind")


async def is_parked(conn: AsyncConnection, service: str, key: UUID) -> bool:
    """Whether an event or due work of this key waits for a person."""
    return bool((await conn.execute(_is_parked(service), {"wanted": key})).scalar_one())


@cache
def _is_parked(service: str) -> Select[bool]:
    return select(waits_for_a_person(service, bindparam("wanted")))


def waits_for_a_person(service: str, key: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Whether an event or due work of the key waits for a person, as part of a statement."""
    parked, due_work = tables_of(service).parked.c, tables_of(service).due_work.c
    events = exists().where(parked.key == key, parked.state.in_([spelt_out(state) for state in OPEN]))
    return or_(events, exists().where(due_work.key == key, due_work.state == spelt_out("parked")))


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
