"""messages.v1: what happened to texts, what came back, and how a patient can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.adherence.commands import alerts, outcomes, reach, replies
from services.adherence.domain.silence import Fact, FactKind
from services.adherence.storage import people
from services.adherence.storage.records import Heard
from shared.events import messages
from shared.events.base import Event
from shared.events.messages import (
    ChannelIncidentV1,
    ContactEvent,
    MessageDeliveredV1,
    MessageEvent,
    MessageSentV1,
    MessageUnconfirmedV1,
    MessageUndeliveredV1,
    MessageWithheldV1,
    ReplyReceivedV1,
    RiskHeardV1,
)
from shared.messaging.unit import Handlers, Unit


def _heard(event: MessageEvent, known: Fact) -> Heard | None:
    """A fact about the patient's own text on an occurrence; a text of a running conversation is not the asking itself."""
    if event.patient_id is None or event.occurrence_id is None or event.request_id is not None:
        return None
    return Heard(event.clinic_id, event.patient_id, event.occurrence_id, known)


async def _about_occurrence(unit: Unit, event: MessageEvent, known: Fact) -> None:
    heard = _heard(event, known)
    if heard is not None:
        await outcomes.fact(unit, heard)


async def _about_safe_reply(unit: Unit, event: MessageEvent) -> None:
    """It has not arrived, or nobody knows: the alert says to call."""
    if event.kind == "safe-reply" and event.patient_id is not None:
        await reach.safe_reply_did_not_go(unit, event.clinic_id, event.patient_id, None)


def sent(unit: Unit, event: MessageSentV1) -> Heard | None:
    return _heard(event, Fact(event_id(unit), "sent", event.at))


def delivered(unit: Unit, event: MessageDeliveredV1) -> Heard | None:
    return _heard(event, Fact(event_id(unit), "delivered", event.at))


async def on_undelivered(unit: Unit, event: MessageUndeliveredV1) -> None:
    await _about_occurrence(unit, event, Fact(event_id(unit), "undelivered", event.at))
    await _about_safe_reply(unit, event)
    if event.alert_id is not None:
        await alerts.text_did_not_go(unit, event.alert_id, event.person_id)


async def on_unconfirmed(unit: Unit, event: MessageUnconfirmedV1) -> None:
    kind: FactKind = "unconfirmed-final" if event.final else "unconfirmed"
    await _about_occurrence(unit, event, Fact(event_id(unit), kind, event.at))
    if event.final:
        await _about_safe_reply(unit, event)
    if event.alert_id is not None and event.final:
        await alerts.text_did_not_go(unit, event.alert_id, event.person_id)


async def on_withheld(unit: Unit, event: MessageWithheldV1) -> None:
    await _about_occurrence(unit, event, Fact(event_id(unit), "withheld", event.at, value=event.why))
    await _about_safe_reply(unit, event)
    if event.why == "key-parked" and event.patient_id is not None:
        await reach.record_incomplete(unit, event.clinic_id, event.patient_id, None)
    if event.alert_id is not None:
        await alerts.text_did_not_go(unit, event.alert_id, event.person_id)


async def on_reply(unit: Unit, event: ReplyReceivedV1) -> None:
    if event.person_id is not None:
        await replies.from_care_team(unit, event)
    elif event.patient_id is not None:
        await replies.from_patient(unit, event, event.patient_id)


async def on_risk_heard(unit: Unit, event: RiskHeardV1) -> None:
    await reach.risk_heard(unit, event)


async def on_contact(unit: Unit, event: ContactEvent) -> None:
    """The newest snapshot of how the patient can be reached. Contacts of the care team are the notifier's business."""
    if event.person_id is None and event.patient_id is not None:
        await reach.contact_changed(unit, event, event.patient_id)


async def on_channel_incident(unit: Unit, event: ChannelIncidentV1) -> None:
    """Silence while the channel is down is the channel's: no alert comes of it. Ops hears of the incident from the notifier."""
    await people.put_incident(unit, event)


event_id = replies.event_id

#: They bring a fact and nothing else, so they are handled together.
HEARD: Mapping[type[Event], Callable[[Unit, Any], Heard | None]] = {
    messages.MessageSentV1: sent,
    messages.MessageDeliveredV1: delivered,
}

HANDLERS: Handlers = {
    messages.MessageUndeliveredV1: on_undelivered,
    messages.MessageUnconfirmedV1: on_unconfirmed,
    messages.MessageWithheldV1: on_withheld,
    messages.ReplyReceivedV1: on_reply,
    messages.RiskHeardV1: on_risk_heard,
    messages.ContactChangedV1: on_contact,
    messages.PreferenceChangedV1: on_contact,
    messages.PatientOptedOutV1: on_contact,
    messages.PatientOptedInV1: on_contact,
    messages.TextsPausedV1: on_contact,
    messages.TextsResumedV1: on_contact,
    messages.NumberSuspectV1: on_contact,
    messages.ContactSuspendedV1: on_contact,
    messages.ChannelIncidentV1: on_channel_incident,
}
