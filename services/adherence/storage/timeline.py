"""The timeline: all events about a patient that adherence saw or said, each with what caused it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.adherence.storage.tables import timeline
from shared.events.base import Event
from shared.messaging.unit import Unit

#: Statements that every event meets are made once: making one costs as much as running it.
_ADD = insert(timeline).on_conflict_do_nothing(index_elements=["event_id"])


#: One event on its patient's timeline, as a row.
Line: TypeAlias = dict[str, Any]


def line(
    event: Event, *, event_id: UUID, at: datetime, occurrence_id: UUID | None, causation_id: UUID | None, cause: str | None
) -> Line:
    """The row of an event."""
    return {
        "event_id": event_id,
        "clinic_id": event.clinic_id,
        "patient_id": event.patient_id,
        "at": at,
        "kind": event.type,
        "occurrence_id": occurrence_id,
        "causation_id": causation_id,
        "cause": cause,
    }


async def remember(unit: Unit, lines: Sequence[Line]) -> None:
    """Adds the events in the order given, each once. Events about no patient have no timeline."""
    about_somebody = [each for each in lines if each["patient_id"] is not None]
    if about_somebody:
        await unit.conn.execute(_ADD, about_somebody)


async def of_patient(conn: AsyncConnection, clinic_id: UUID, patient_id: UUID) -> list[dict[str, Any]]:
    """In clinical order, and at one instant in the order in which adherence knew. `cause`: the event, due work or "command" that
    made it happen; None where adherence never saw it."""
    cause = timeline.alias("cause")
    statement = (
        select(timeline, func.coalesce(cause.c.kind, timeline.c.cause).label("because"))
        .outerjoin(cause, cause.c.event_id == timeline.c.causation_id)
        .where(timeline.c.clinic_id == clinic_id, timeline.c.patient_id == patient_id)
        .order_by(timeline.c.at, timeline.c.seq)
    )
    rows = await conn.execute(statement)
    return [{"at": row.at, "kind": row.kind, "occurrence": row.occurrence_id, "cause": row.because} for row in rows]
