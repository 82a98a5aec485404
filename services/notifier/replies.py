"""Texts that answer what somebody has just written, drafted: safe reply, confirmation, acknowledgement, help, clarification."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.notifier.domain.message import MessageDraft, MessageKind
from services.notifier.storage.clinics import Clinic
from services.notifier.storage.contact_rows import Contact
from services.notifier.storage.messages import queue
from shared.defaults import default
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Cause:
    """The event that an answer follows from: its id and name. Where there is none: the text's own id, and `inbound`."""

    id: UUID
    type: str


async def say(
    unit: Unit,
    to: Contact,
    kind: MessageKind,
    template: str,
    cause: Cause,
    *,
    reply_id: UUID,
    after: timedelta = timedelta(0),
) -> UUID | None:
    """Queues one answer to an inbound text; at most one of its kind per text. `after`: not before so long from now."""
    useful = default("notifier", "safe_reply_useful" if kind == "safe-reply" else "answer_useful")
    draft = MessageDraft(
        key=f"reply/{reply_id}/{kind}",
        kind=kind,
        clinic_id=to.clinic_id,
        template=template,
        cause=cause.id,
        cause_type=cause.type,
        not_before=unit.now + after,
        useful_until=unit.now + useful,
        patient_id=to.id if to.is_patient else None,
        person_id=None if to.is_patient else to.id,
        reply_id=reply_id,
    )
    return await queue(unit, draft)


def welcome(unit: Unit, to: Contact, cause: UUID) -> MessageDraft:
    """The one welcome of a patient: the privacy warning, what it is not for, HELP and STOP. It goes in the patient's window."""
    return MessageDraft(
        key=f"welcome/{to.id}",
        kind="welcome",
        clinic_id=to.clinic_id,
        template="welcome",
        cause=cause,
        cause_type="contact-changed",
        not_before=unit.now,
        useful_until=unit.now + default("notifier", "welcome_useful_for"),
        patient_id=to.id,
    )


async def safe_reply_to_number(unit: Unit, of_clinic: Clinic, number_id: UUID, cause: Cause, *, reply_id: UUID) -> UUID | None:
    """The crisis line of the clinic's country, to a number that nobody on file has; at most once per inbound text."""
    draft = MessageDraft(
        key=f"reply/{reply_id}/safe-reply",
        kind="safe-reply",
        clinic_id=of_clinic.clinic_id,
        template="safe-reply-unknown",
        cause=cause.id,
        cause_type=cause.type,
        not_before=unit.now,
        useful_until=unit.now + default("notifier", "safe_reply_useful"),
        number_id=number_id,
        reply_id=reply_id,
    )
    return await queue(unit, draft)


async def crisis_of_stranger(unit: Unit, of_clinic: Clinic, event: UUID, *, nth: int, reply_id: UUID) -> bool:
    """Pages the clinic's own crisis contact: a number that nobody on file has wrote risk wording. Neither number nor words go."""
    return await _page_crisis_contact(
        unit, of_clinic, f"inbound:{reply_id}", nth, None, reply_id, cause=event, alert_kind="risk-from-unknown-number"
    )


async def crisis_unanswered(
    unit: Unit, of_clinic: Clinic, *, dedup_key: str, nth: int, patient_id: UUID | None, reply_id: UUID, no_text: bool
) -> bool:
    """Pages the clinic's own crisis contact, where one is named: nobody has taken the risk wording over. `dedup_key` is the
    alert's own, `nth` counts the pages. Whether there was anybody to page."""
    alert_kind = "no-text-possible" if no_text else "crisis"
    return await _page_crisis_contact(
        unit, of_clinic, dedup_key, nth, patient_id, reply_id, cause=reply_id, alert_kind=alert_kind
    )


async def _page_crisis_contact(
    unit: Unit,
    of_clinic: Clinic,
    dedup_key: str,
    nth: int,
    patient_id: UUID | None,
    reply_id: UUID,
    *,
    cause: UUID,
    alert_kind: str,
) -> bool:
    if of_clinic.crisis_contact_id is None:
        return False
    draft = MessageDraft(
        key=f"dedup/{dedup_key}/{nth}",
        kind="alert",
        clinic_id=of_clinic.clinic_id,
        template="alert/watch",
        cause=cause,
        cause_type="risk-heard",
        not_before=unit.now,
        useful_until=unit.now + default("notifier", "alert_useful_for"),
        patient_id=patient_id,
        person_id=of_clinic.crisis_contact_id,
        reply_id=reply_id,
        params={"severity": "crisis", "alert_kind": alert_kind},
    )
    return await queue(unit, draft) is not None
