"""What follows from an answer in the same conversation: the next item, thanks, one clarification. After a dose's "1": nothing.

The names of texts (`ack/thanks`, `clarify/score`) are the notifier's templates.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from services.adherence.commands.voice import say
from services.adherence.domain.checkins import CheckInOutcome, Instrument
from services.adherence.storage import occurrences
from services.adherence.storage.occurrences import Occurrence
from shared.defaults import default
from shared.events.adherence import MessageRequestedV1
from shared.events.base import stable_id
from shared.messaging.unit import Unit

Purpose = Literal["question", "acknowledgement", "clarification"]


def is_running(unit: Unit, said_at: datetime) -> bool:
    """Whether the patient's text is recent enough for another text to belong to it (DESIGN.md 4: 15 minutes)."""
    return bool(unit.now - said_at <= default("adherence", "question_useful"))


async def request(
    unit: Unit,
    clinic_id: UUID,
    patient_id: UUID,
    purpose: Purpose,
    template: tuple[str, str],
    *,
    request_id: UUID,
    occurrence_id: UUID | None = None,
    reply_id: UUID | None = None,
) -> None:
    """Asks the notifier for one text of the running conversation. The same request id twice is one text."""
    event = MessageRequestedV1(
        clinic_id=clinic_id,
        patient_id=patient_id,
        request_id=request_id,
        purpose=purpose,
        instrument=template[0],
        item=template[1],
        occurrence_id=occurrence_id,
        reply_id=reply_id,
        running_conversation=True,
        useful_until=unit.now + default("adherence", "question_useful"),
    )
    await say(unit, event, event_id=stable_id(request_id, "message-requested"))


async def thank(unit: Unit, one: Occurrence, said_at: datetime) -> None:
    """Once an occurrence: the patient's answer has been noted."""
    if one.acknowledged or not is_running(unit, said_at):
        return
    await occurrences.set_acknowledged(unit, one)
    request_id = stable_id(one.id, "thanks")
    await request(
        unit, one.clinic_id, one.patient_id, "acknowledgement", ("ack", "thanks"), request_id=request_id, occurrence_id=one.id
    )


async def go_on(unit: Unit, one: Occurrence, instrument: Instrument, outcome: CheckInOutcome) -> None:
    """The next item of the check-in, each asked once; after the last, thanks."""
    last = max(score.at for score in outcome.scores.values())
    item = instrument.next_item(outcome.scores)
    if item is None:
        await thank(unit, one, last)
        return
    request_id = stable_id(one.id, "item", item)
    if is_running(unit, last) and await occurrences.ask(unit, one, request_id, item):
        await request(
            unit, one.clinic_id, one.patient_id, "question", (instrument.id, item), request_id=request_id, occurrence_id=one.id
        )


async def clarify(unit: Unit, one: Occurrence, reply_id: UUID, said_at: datetime) -> bool:
    """Says once what would be understood. False: it has been said, or the conversation is over; a person reads the words."""
    if one.clarified >= default("adherence", "clarifications") or one.window.closed or not is_running(unit, said_at):
        return False
    await occurrences.set_clarified(unit, one)
    template = ("clarify", "dose" if one.kind == "dose" else "score")
    await request(
        unit,
        one.clinic_id,
        one.patient_id,
        "clarification",
        template,
        request_id=stable_id(one.id, "clarify", one.clarified + 1),
        occurrence_id=one.id,
        reply_id=reply_id,
    )
    return True
