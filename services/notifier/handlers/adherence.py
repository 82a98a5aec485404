"""adherence.v1: what follows from an answer or a silence (message-requested), who must know (alert-*), and what nobody asks the
patient to take (asking-*)."""

from __future__ import annotations

from datetime import timedelta

from services.notifier.domain.message import MessageDraft, MessageKind
from services.notifier.lastgate import withhold
from services.notifier.storage import alerts, conversations, messages, plans
from shared.defaults import default
from shared.events.adherence import (
    AlertAcknowledgedV1,
    AlertEscalatedV1,
    AlertEvent,
    AlertRaisedV1,
    AlertResolvedV1,
    AskingHeldV1,
    AskingResumedV1,
    MessageRequestedV1,
)
from shared.messaging.unit import Handlers, Unit
from shared.ops import ops_say

_USEFUL: timedelta = default("notifier", "alert_useful_for")


async def on_message_requested(unit: Unit, event: MessageRequestedV1) -> None:
    """One text for one request, whatever is heard twice."""
    if unit.cause is None:
        raise ValueError("a requested text is caused by an event")
    kind: MessageKind = event.purpose
    low, high = await conversations.range_asked(unit, event.occurrence_id)
    await messages.queue(
        unit,
        MessageDraft(
            key=f"request/{event.request_id}",
            kind=kind,
            clinic_id=event.clinic_id,
            patient_id=event.patient_id,
            occurrence_id=event.occurrence_id,
            request_id=event.request_id,
            reply_id=event.reply_id,
            template=f"{event.instrument}/{event.item}",
            params={"instrument": event.instrument, "item": event.item, "low": low, "high": high},
            cause=unit.cause.id,
            cause_type=event.type,
            not_before=unit.now,
            useful_until=event.useful_until,
        ),
    )


async def on_alert_paged(unit: Unit, event: AlertRaisedV1 | AlertEscalatedV1) -> None:
    """Texts whoever's turn it is: code, severity, kind in fixed words, link. Each version that says so is one text: a reminder
    pages the same step again."""
    alert = event.alert
    if not await alerts.keep(unit, event) or alert.state != "open":
        return
    if alert.recipient_id is None:
        await ops_say(unit, "alert-without-recipient", {"severity": alert.severity, "code": alert.code}, dedup=_key(event))
        return
    if unit.cause is None:
        raise ValueError("an alert's text is caused by an event")
    await messages.queue(
        unit,
        MessageDraft(
            key=_key(event),
            kind="alert",
            clinic_id=event.clinic_id,
            patient_id=event.patient_id,
            person_id=alert.recipient_id,
            alert_id=alert.alert_id,
            template="alert",
            params={"code": alert.code, "severity": alert.severity, "alert_kind": _words(event)},
            cause=unit.cause.id,
            cause_type=event.type,
            not_before=unit.now,
            useful_until=unit.now + _USEFUL,
        ),
    )


async def on_alert_over(unit: Unit, event: AlertAcknowledgedV1 | AlertResolvedV1) -> None:
    """Somebody has it: pages that have not left do not leave."""
    if not await alerts.keep(unit, event):
        return
    for text in await messages.queued_for_alert(unit, event.alert.alert_id):
        await withhold(unit, text, "withdrawn")


async def on_asking_held(unit: Unit, event: AskingHeldV1) -> None:
    await plans.hold(unit, event, held=True)


async def on_asking_resumed(unit: Unit, event: AskingResumedV1) -> None:
    await plans.hold(unit, event, held=False)


def _key(event: AlertEvent) -> str:
    return f"alert/{event.alert.alert_id}/{event.alert_version}"


def _words(event: AlertEvent) -> str:
    return "no-text-possible" if event.alert.no_text_possible else event.alert.kind


HANDLERS: Handlers = {
    MessageRequestedV1: on_message_requested,
    AlertRaisedV1: on_alert_paged,
    AlertEscalatedV1: on_alert_paged,
    AlertAcknowledgedV1: on_alert_over,
    AlertResolvedV1: on_alert_over,
    AskingHeldV1: on_asking_held,
    AskingResumedV1: on_asking_resumed,
}
