"""What patients and clinicians answered, as the notifier has bound and read it."""

from __future__ import annotations

from uuid import UUID

from services.adherence.commands import alerts, conversation, followups, outcomes
from services.adherence.commands.alerts import Cause, raise_alert
from services.adherence.commands.voice import say
from services.adherence.domain.silence import Fact
from services.adherence.storage import alerts as alert_rows
from services.adherence.storage import followups as follow_up_rows
from services.adherence.storage import occurrences, people
from services.adherence.storage.records import Heard
from shared.events.adherence import SideEffectReportedV1
from shared.events.base import stable_id
from shared.events.messages import ReplyReceivedV1
from shared.messaging.unit import Unit

#: Subjects whose answers are facts about an occurrence that adherence keeps the record of.
_OURS = frozenset({"dose", "check-in", "question", "follow-up"})


def event_id(unit: Unit) -> UUID:
    """The id of the event being handled: a fact is known by it."""
    if unit.cause is None:
        raise ValueError("a fact is known by the id of its event")
    return unit.cause.id


async def from_care_team(unit: Unit, event: ReplyReceivedV1) -> None:
    """A clinician texted a code. One that comes after the alert was resolved changes nothing; the notifier answers it."""
    if event.about != "alert" or event.alert_id is None:
        return
    owner = await alert_rows.owner(unit, event.alert_id)
    if owner is None or owner[0] != event.clinic_id:
        return
    await unit.lock(owner[1])
    alert = await alert_rows.get(unit, event.alert_id)
    if alert is None or alert.state == "resolved":
        return
    if event.answer == "resolve":
        await alerts.resolve(unit, alert.id, by=event.person_id, how="sms")
    elif event.answer in {"acknowledge", "taken", "yes"}:
        await alerts.acknowledge(unit, alert.id, by=event.person_id, how="sms")


async def from_patient(unit: Unit, event: ReplyReceivedV1, patient_id: UUID) -> None:
    if event.answer == "side-effect":
        await _side_effect(unit, event, patient_id)
        return
    if event.answer == "none":
        await _unreadable(unit, event, patient_id)
        return
    if event.about in _OURS:
        await _answer(unit, event, patient_id)


async def _answer(unit: Unit, event: ReplyReceivedV1, patient_id: UUID) -> None:
    """A fact about the occurrence that was asked about; for a question of a running conversation, about its item."""
    occurrence_id, item = event.occurrence_id, None
    if event.request_id is not None:
        asked = await occurrences.asked(unit, event.request_id)
        if asked is not None:
            occurrence_id, item = asked[0] or occurrence_id, asked[1]
    if occurrence_id is None:
        return
    known = Fact(event_id(unit), "answer", event.at, event.answer, event.reason, event.score, item)
    one = await outcomes.fact(unit, Heard(event.clinic_id, patient_id, occurrence_id, known))
    follow_up = await follow_up_rows.by_occurrence(unit, occurrence_id) if one is None else None
    if follow_up is not None:
        await followups.settle(unit, follow_up.id)
    # A number outside the question's range is no answer either: it is said so once.
    if one is not None and one.kind == "check-in" and one.state not in {"answered", "withdrawn"}:
        await _not_understood(unit, event, patient_id, occurrence_id)


async def _unreadable(unit: Unit, event: ReplyReceivedV1, patient_id: UUID) -> None:
    """Words that are no answer. Risk wording has been answered already and is not also a message to read."""
    if not await people.is_risk(unit, event.reply_id):
        await _not_understood(unit, event, patient_id, event.occurrence_id)


async def _not_understood(unit: Unit, event: ReplyReceivedV1, patient_id: UUID, occurrence_id: UUID | None) -> None:
    one = None if occurrence_id is None else await occurrences.get(unit, occurrence_id)
    if one is not None and await conversation.clarify(unit, one, event.reply_id, event.at):
        return
    patient = await people.patient(unit, event.clinic_id, patient_id)
    key = f"message-to-read:{patient_id}"
    new = await raise_alert(unit, patient, Cause("message-to-read", key, occurrence_id=occurrence_id))
    if new:
        await _to_a_person(unit, event, patient_id)


async def _side_effect(unit: Unit, event: ReplyReceivedV1, patient_id: UUID) -> None:
    reported = SideEffectReportedV1(
        clinic_id=event.clinic_id,
        patient_id=patient_id,
        reply_id=event.reply_id,
        at=event.at,
        occurrence_id=event.occurrence_id,
    )
    said = await say(unit, reported, event_id=stable_id(event.reply_id, "side-effect-reported"))
    patient = await people.patient(unit, event.clinic_id, patient_id)
    key = f"side-effect:{patient_id}"
    await raise_alert(unit, patient, Cause("side-effect", key, occurrence_id=event.occurrence_id), said)
    await _to_a_person(unit, event, patient_id)


async def _to_a_person(unit: Unit, event: ReplyReceivedV1, patient_id: UUID) -> None:
    """Tells the patient that a person will read it, while the conversation is running."""
    if conversation.is_running(unit, event.at):
        await conversation.request(
            unit,
            event.clinic_id,
            patient_id,
            "acknowledgement",
            ("ack", "to-a-person"),
            request_id=stable_id(event.reply_id, "to-a-person"),
            occurrence_id=event.occurrence_id,
            reply_id=event.reply_id,
        )
