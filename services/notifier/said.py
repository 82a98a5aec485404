"""What the notifier says on Kafka about the fate of one text. A digest speaks for every alert that it carried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from services.notifier.storage import messages
from services.notifier.storage.messages import Message
from shared.events.base import stable_id
from shared.events.messages import (
    MessageDeliveredV1,
    MessageEvent,
    MessageSentV1,
    MessageUnconfirmedV1,
    MessageUndeliveredV1,
    MessageWithheldV1,
    WithheldReason,
)
from shared.logs import log
from shared.messaging.unit import Unit

#: By carrier, what digests carried.
Carried = Mapping[UUID, Sequence[Message]]
M = TypeVar("M", bound=MessageEvent)
#: By fate and reason, what became of texts since this process started: what has been committed, so that nothing counts that was
#: rolled back, and nothing twice that was then done again.
counted: Counter[tuple[str, str]] = Counter()


async def carried_by(unit: Unit, texts: Collection[Message]) -> Carried:
    """What these texts speak for beside themselves. Only an alert goes as a digest."""
    alerts = [text.id for text in texts if text.kind == "alert"]
    return await messages.carried_with(unit, alerts) if alerts else {}


def sent(unit: Unit, text: Message, carried: Carried) -> None:
    _say(unit, text, carried, MessageSentV1)


def delivered(unit: Unit, text: Message, carried: Carried) -> None:
    _say(unit, text, carried, MessageDeliveredV1)


def undelivered(unit: Unit, text: Message, carried: Carried, error_code: int | None) -> None:
    _say(unit, text, carried, MessageUndeliveredV1, error_code=error_code)


async def unconfirmed(unit: Unit, text: Message, *, final: bool) -> None:
    carried = await carried_by(unit, [text])
    _say(unit, text, carried, MessageUnconfirmedV1, "final" if final else "", final=final)


async def withheld(unit: Unit, text: Message, why: WithheldReason) -> None:
    # A reissue can be withheld again: each time is a fact of its own.
    _say(unit, text, await carried_by(unit, [text]), MessageWithheldV1, text.epoch, why=why)


def _say(unit: Unit, text: Message, carried: Carried, model: type[M], nth: object = "", **values: Any) -> None:
    """The id is that of the fact, so that a repair of a half-recorded outcome says nothing twice."""
    for each in (text, *carried.get(text.id, ())):
        event = model(
            clinic_id=each.clinic_id,
            patient_id=each.patient_id,
            person_id=each.person_id,
            message_id=each.id,
            kind=each.kind,
            occurrence_id=each.occurrence_id,
            request_id=each.request_id,
            alert_id=each.alert_id,
            reply_id=each.reply_id,
            plan_version=each.plan_version,
            at=unit.now,
            **values,
        )
        said = stable_id(each.id, event.type, nth)
        unit.emit(event, event_id=said, causation_id=each.cause_id, correlation_id=each.correlation_id)
        unit.on_commit(partial(_count, event.type.removeprefix("message-"), str(values.get("why", ""))))
        _log(unit, event, each, said)


def _count(fate: str, why: str) -> None:
    counted[fate, why] += 1


def _log(unit: Unit, event: MessageEvent, text: Message, event_id: UUID) -> None:
    """From event to text: whoever looks for a text finds the event that asked for it, and everything that came of it."""
    ids: dict[str, Any] = {"event_id": event_id, "causation_id": text.cause_id}
    ids["correlation_id"] = text.correlation_id or unit.correlation_of(event.key)
    log("fate of a text", event_type=event.full_type, kind=text.kind, **ids)
