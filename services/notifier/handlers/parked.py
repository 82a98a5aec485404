"""A patient's key that still waits for an operator: the clinic hears of it within the hour (DESIGN.md rule 10, decision 0131)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.notifier.storage import contact_rows
from shared.events.base import stable_id
from shared.events.messages import MessageWithheldV1
from shared.messaging.unit import Fire, Unit
from shared.messaging.work import KEY_PARKED, WorkItem


async def tell_of_parked_keys(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Half an hour after it was parked. What is due for that patient waits behind the parked event, so the gate meets no text
    that it could withhold; and nothing else would be withheld before the next text. So it is said here, once a parking, as a text
    about nothing that was: adherence raises `record-incomplete`. A colleague's key, or the clinic's own, is nobody's record."""
    known = await contact_rows.some(unit, [item.key for item in items])
    for item in items:
        patient = known.get(item.key)
        if patient is None or not patient.is_patient or not await unit.is_parked(item.key):
            continue
        about = stable_id(item.key, KEY_PARKED, item.ref)
        event = MessageWithheldV1(
            clinic_id=patient.clinic_id,
            patient_id=patient.id,
            message_id=about,
            kind="question",
            request_id=about,
            at=unit.now,
            why="key-parked",
        )
        unit.emit(event, event_id=stable_id(about, event.type))


FIRES: Mapping[str, Fire] = {KEY_PARKED: tell_of_parked_keys}
