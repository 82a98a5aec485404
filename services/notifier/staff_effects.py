"""What follows from a text of the care team: an alert acknowledged or resolved, by its code, or by "ok" where only one can be
meant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, case, select

from services.notifier import replies
from services.notifier.domain import answers, optout, risk
from services.notifier.domain.disposition import Disposition
from services.notifier.domain.optout import twilio_answers
from services.notifier.domain.parse import Words
from services.notifier.replies import Cause
from services.notifier.storage import heard as texts
from services.notifier.storage import strangers, wishes
from services.notifier.storage.clinics import Clinic
from services.notifier.storage.contact_rows import Contact, number_index
from services.notifier.storage.heard import Inbound
from services.notifier.storage.tables import message, open_alert
from shared.defaults import default
from shared.events.base import stable_id
from shared.events.messages import ReplyReceivedV1
from shared.messaging.unit import Unit
from shared.ops import ops_say

_HOUR = timedelta(hours=1)
Verb = Literal["acknowledge", "resolve"]


async def is_about_alert(unit: Unit, said: Words, staff: Sequence[Contact]) -> bool:
    """Whether a text from a number that is a patient's too is meant for an alert: only where it holds an alert's code."""
    code = answers.alert_code(said)
    return code is not None and await _by_code(unit, staff[0].clinic_id, code) is not None


async def heard(unit: Unit, text: Inbound, said: Words, person: Contact, of_clinic: Clinic | None) -> Disposition:
    """A text of one of the care team, and its one disposition."""
    ended = await _wish(unit, text, said, person)
    if ended is not None:
        await texts.settle(unit, text.id, ended, contact_id=person.id)
        return ended
    found = await _alert(unit, said, person)
    if found is not None:
        alert, verb = found
        _say(unit, text, person, alert, verb)
        await texts.settle(unit, text.id, "alert-answer", contact_id=person.id)
        return "alert-answer"
    if answers.staff_word(said) is not None and said.text and await _reads_strangers(unit, said, person, of_clinic):
        await texts.settle(unit, text.id, "alert-answer", contact_id=person.id)
        return "alert-answer"
    category = risk.hear(said)
    await texts.settle(unit, text.id, "not-understood", contact_id=person.id, risk=category)
    event = _say(unit, text, person, None, "none")
    if category is not None:
        await tell_crisis_contact(unit, text, of_clinic, no_text=person.opted_out)
        await _safe_reply(unit, text, person, event)
    else:
        await _clarify(unit, text, person, event)
    return "not-understood"


async def _wish(unit: Unit, text: Inbound, said: Words, person: Contact) -> Disposition | None:
    """The care team may end its texts too (then alerts go to the next in the chain). "cancel" or "done" with a code is none."""
    wish = optout.wish(said, text.opt_out_type)
    if wish in ("keyword", "own-words"):
        how: Literal["keyword", "own-words"] = "keyword" if wish == "keyword" else "own-words"
        event = await wishes.opt_out(unit, person.id, how, reply_id=text.id, at=text.sent_at)
        await texts.look_up_order(unit, person.id)
        if event is not None and not twilio_answers(text.body, text.opt_out_type):
            kind: Literal["opt-out-confirmation"] = "opt-out-confirmation"
            await replies.say(unit, person, kind, kind, Cause(event, "patient-opted-out"), reply_id=text.id)
        return "opt-out"
    if wish == "start":
        await wishes.opt_in(unit, person.id, "keyword", reply_id=text.id, at=text.sent_at)
        await texts.look_up_order(unit, person.id)
        return "opt-in"
    if wish == "wrong-number":
        await wishes.mark_suspect(unit, person.id, "wrong-number")
        return "wrong-number"
    return "help" if wish == "help" else None


async def _alert(unit: Unit, said: Words, person: Contact) -> tuple[Row[Any], Verb] | None:
    """The alert that is meant. A code alone acknowledges; a word alone counts only where exactly one alert can be meant."""
    code, verb = answers.alert_code(said), answers.staff_word(said)
    if code is not None:
        by_code = await _by_code(unit, person.clinic_id, code)
        return None if by_code is None else (by_code, verb or "acknowledge")
    if verb is None or not said.text:
        return None
    sent = await _open_and_sent_to(unit, person)
    return (sent[0], verb) if len(sent) == 1 else None


async def _reads_strangers(unit: Unit, said: Words, person: Contact, of_clinic: Clinic | None) -> bool:
    """Whether the crisis contact's "ok" takes over what unknown numbers wrote: those pages bear no code and nothing else ends
    them but reading."""
    asked = of_clinic is not None and of_clinic.crisis_contact_id == person.id and answers.alert_code(said) is None
    return asked and await strangers.mark_risk_read(unit, person.clinic_id) > 0


async def _by_code(unit: Unit, clinic_id: UUID, code: str) -> Row[Any] | None:
    """The clinic's alert of that code: an open one first, else the latest, so that answering twice is no error."""
    rank = case((open_alert.c.state == "open", 0), (open_alert.c.state == "acknowledged", 1), else_=2)
    statement = select(open_alert).where(open_alert.c.clinic_id == clinic_id, open_alert.c.code == code)
    return (await unit.conn.execute(statement.order_by(rank, open_alert.c.raised_at.desc()).limit(1))).one_or_none()


async def _open_and_sent_to(unit: Unit, person: Contact) -> Sequence[Row[Any]]:
    sent = select(message.c.alert_id).where(message.c.contact_id == person.id, message.c.kind == "alert")
    statement = select(open_alert).where(
        open_alert.c.clinic_id == person.clinic_id, open_alert.c.state == "open", open_alert.c.alert_id.in_(sent)
    )
    return (await unit.conn.execute(statement.limit(2))).all()


def _say(unit: Unit, text: Inbound, person: Contact, alert: Row[Any] | None, answer: Verb | Literal["none"]) -> UUID:
    return unit.emit(
        ReplyReceivedV1(
            clinic_id=person.clinic_id,
            patient_id=alert.patient_id if alert is not None else None,
            reply_id=text.id,
            at=unit.now,
            person_id=person.id,
            about="alert" if alert is not None else "nothing",
            alert_id=alert.alert_id if alert is not None else None,
            answer=answer,
        ),
        event_id=stable_id(text.id, "reply-received"),
    )


async def _clarify(unit: Unit, text: Inbound, person: Contact, cause: UUID) -> None:
    """Says that no alert was meant by this, and lists none: a text names nobody and nothing."""
    sent = await texts.answers_since(unit, number_index(unit, text.sender), "other_answer", unit.now - _HOUR)
    if sent >= default("notifier", "answers_an_hour"):
        return
    kind: Literal["clarification"] = "clarification"
    await replies.say(unit, person, kind, "clarify/code", Cause(cause, "reply-received"), reply_id=text.id)
    await texts.answered(unit, text.id, "other_answer")


async def _safe_reply(unit: Unit, text: Inbound, person: Contact, cause: UUID) -> None:
    """Any inbound text means any: who treats others may be at risk as well (DESIGN.md rule 6)."""
    sent = await texts.answers_since(unit, number_index(unit, text.sender), "safe_reply", unit.now - _HOUR)
    if person.opted_out or sent >= default("notifier", "safe_replies_an_hour"):
        return
    await replies.say(unit, person, "safe-reply", "safe-reply", Cause(cause, "reply-received"), reply_id=text.id)
    await texts.answered(unit, text.id, "safe_reply")


async def tell_crisis_contact(unit: Unit, text: Inbound, of_clinic: Clinic | None, *, no_text: bool = True) -> None:
    """Risk wording from a number that is no patient's: no event can carry it, so the crisis contact is paged and ops told."""
    if of_clinic is not None:
        await replies.crisis_unanswered(
            unit, of_clinic, dedup_key=f"inbound:{text.id}", nth=0, patient_id=None, reply_id=text.id, no_text=no_text
        )
    clinic_id = of_clinic.clinic_id if of_clinic is not None else None
    await ops_say(unit, "risk-from-no-patient", {"reply": str(text.id)}, dedup=str(text.id), clinic_id=clinic_id)
