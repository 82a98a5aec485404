"""What follows from a patient's text: events, the contact's state, and at most a few texts of our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from services.notifier import crisis_watch, replies
from services.notifier.domain.answers import Answer
from services.notifier.domain.conversation import Binding, OpenQuestion
from services.notifier.domain.disposition import Judgement
from services.notifier.domain.optout import twilio_answers
from services.notifier.replies import Cause
from services.notifier.storage import contact_rows, conversations, heard, wishes
from services.notifier.storage.contact_rows import Contact, number_index
from services.notifier.storage.heard import Inbound
from shared.defaults import default
from shared.events.base import stable_id
from shared.events.messages import PreferenceChangedV1, ReplyReceivedV1, RiskHeardV1
from shared.messaging.unit import Unit

_HOUR = timedelta(hours=1)
#: The confirmation of an opt-out leaves after the safe reply to the same text.
_AFTER_SAFE_REPLY = timedelta(seconds=5)
Kind = Literal["acknowledgement", "clarification", "help", "opt-out-confirmation", "opt-in-confirmation"]


async def carry_out(unit: Unit, text: Inbound, judged: Judgement, patients: Sequence[Contact], staff: Sequence[Contact]) -> None:
    """All effects of one judged text, in the order that keeps people safe, and its one disposition."""
    bound = judged.binding.question.contact_id if judged.binding else None
    first = next((known for known in patients if known.id == bound), patients[0])
    await heard.settle(unit, text.id, judged.disposition, contact_id=first.id, risk=judged.risk)
    if judged.risk is not None:
        await _risk(unit, text, judged, patients)
    if judged.wish is not None:
        await _wish(unit, text, judged, patients, staff)
    elif judged.disposition in ("pause-texts", "resume-texts", "preference"):
        await _about_texts(unit, text, judged, first)
    if judged.disposition in ("answer", "side-effect") or (judged.risk and judged.binding):
        await _answer(unit, text, judged.binding, first)
    elif judged.disposition == "not-understood":
        await to_a_person(unit, text, first)


def reply_id_for(text: Inbound, known: Contact, patients: Sequence[Contact]) -> UUID:
    """One text of a shared number is a fact about each of them: each needs an id of its own."""
    return text.id if known.id == patients[0].id else stable_id(text.id, known.id)


async def _risk(unit: Unit, text: Inbound, judged: Judgement, patients: Sequence[Contact]) -> None:
    """Safe reply at once, texts paused, the care team told, and a watch that somebody takes it over."""
    since = unit.now - _HOUR
    sent = await heard.answers_since(unit, number_index(unit, text.sender), "safe_reply", since)
    bound_reached = sent >= default("notifier", "safe_replies_an_hour")
    replied = False
    for known in patients:
        reply_id = reply_id_for(text, known, patients)
        possible = known.number_on_file and not known.opted_out
        event = unit.emit(
            RiskHeardV1(
                clinic_id=known.clinic_id,
                patient_id=known.id,
                reply_id=reply_id,
                at=unit.now,
                category=judged.risk or "unspecified",
                safe_reply="sent" if possible else "no-text-possible",
            ),
            event_id=stable_id(reply_id, "risk-heard"),
        )
        await wishes.pause(unit, known.id, "crisis", None)
        await crisis_watch.begin(unit, known, reply_id, no_text=not possible)
        if possible and not replied and not bound_reached:
            await replies.say(unit, known, "safe-reply", "safe-reply", Cause(event, "risk-heard"), reply_id=text.id)
            await heard.answered(unit, text.id, "safe_reply")
            replied = True


async def _wish(unit: Unit, text: Inbound, judged: Judgement, patients: Sequence[Contact], staff: Sequence[Contact]) -> None:
    if judged.wish == "help":
        await _once(unit, text, patients[0], "help", "help", Cause(text.id, "inbound"))
        return
    changed: list[tuple[Contact, UUID]] = []
    for known in (*patients, *staff):
        event = await _heed(unit, text, judged, known)
        if event is not None:
            changed.append((known, event))
        await heard.look_up_order(unit, known.id)
    if not changed or judged.wish == "wrong-number":
        return
    out = judged.wish != "start"
    kind: Kind = "opt-out-confirmation" if out else "opt-in-confirmation"
    after = _AFTER_SAFE_REPLY if judged.risk else timedelta(0)
    cause = Cause(changed[0][1], "patient-opted-out" if out else "patient-opted-in")
    await _once(unit, text, changed[0][0], kind, kind, cause, after)


async def _heed(unit: Unit, text: Inbound, judged: Judgement, known: Contact) -> UUID | None:
    if judged.wish == "wrong-number":
        return await wishes.mark_suspect(unit, known.id, "wrong-number")
    if judged.wish == "start":
        return await wishes.opt_in(unit, known.id, "keyword", reply_id=text.id, at=text.sent_at)
    how: Literal["keyword", "own-words"] = "keyword" if judged.wish == "keyword" else "own-words"
    return await wishes.opt_out(unit, known.id, how, reply_id=text.id, at=text.sent_at)


async def _once(
    unit: Unit,
    text: Inbound,
    to: Contact,
    kind: Kind,
    template: str,
    cause: Cause,
    after: timedelta = timedelta(0),
) -> None:
    """Answers the text, unless Twilio has, or this number has had its answers of the hour (an auto-responder)."""
    if twilio_answers(text.body, text.opt_out_type):
        return
    sent = await heard.answers_since(unit, number_index(unit, text.sender), "other_answer", unit.now - _HOUR)
    if sent >= default("notifier", "answers_an_hour"):
        return
    await replies.say(unit, to, kind, template, cause, reply_id=text.id, after=after)
    await heard.answered(unit, text.id, "other_answer")


async def _about_texts(unit: Unit, text: Inbound, judged: Judgement, known: Contact) -> None:
    """Pauses, resumes or changes the texts, never the prescription. What may not be changed by text goes to a person."""
    event, template, cause_type = await _changed_texts(unit, judged, known)
    if event is None:
        await to_a_person(unit, text, known)
        return
    await _once(unit, text, known, "acknowledgement", template, Cause(event, cause_type))


async def _changed_texts(unit: Unit, judged: Judgement, known: Contact) -> tuple[UUID | None, str, str]:
    if judged.disposition == "pause-texts":
        length = min(judged.pause or default("notifier", "pause_unless_said"), default("notifier", "pause_at_most"))
        return await wishes.pause(unit, known.id, "by-patient", unit.now + length), "ack/paused", "texts-paused"
    if judged.disposition == "resume-texts":
        return await wishes.resume(unit, known.id), "ack/resumed", "texts-resumed"
    if judged.language == known.language:
        return None, "ack/thanks", "preference-changed"
    now = await contact_rows.change(unit, known.id, language=judged.language)
    return contact_rows.say(unit, PreferenceChangedV1, now), "ack/thanks", "preference-changed"


async def _answer(unit: Unit, text: Inbound, binding: Binding | None, known: Contact) -> None:
    """Says what was answered, as structure, bound to its question; a repeat within moments says nothing new."""
    if binding is None:
        recent = await _recent_dose(unit, known)
        _say(unit, text, known, recent, Answer("side-effect"))
        return
    if binding.repeat:
        return
    _say(unit, text, known, binding.question, binding.answer)
    if binding.answer.side_effect:
        beside = stable_id(text.id, "side-effect")
        _say(unit, text, known, binding.question, Answer("side-effect"), reply_id=beside)
    await conversations.answered(unit, binding, text.id)


async def to_a_person(unit: Unit, text: Inbound, known: Contact) -> None:
    """Words that we could not read as an answer: a person looks at them. Named with the question that stands open, if one does,
    so that adherence can ask once what was meant."""
    asked = await conversations.questions(unit, (known.id,), default("notifier", "late_answer_within"))
    at = text.written_at(unit.now)
    standing = next((each for each in asked if each.answered_at is None and each.asked_at <= at <= each.answer_until), None)
    _say(unit, text, known, standing, Answer("none"))


async def _recent_dose(unit: Unit, known: Contact) -> OpenQuestion | None:
    asked = await conversations.questions(unit, (known.id,), default("notifier", "side_effect_of"))
    return next((each for each in asked if each.kind == "dose"), None)


def _say(
    unit: Unit, text: Inbound, known: Contact, question: OpenQuestion | None, answer: Answer, *, reply_id: UUID | None = None
) -> UUID:
    reply_id = reply_id or text.id
    return unit.emit(
        ReplyReceivedV1(
            clinic_id=known.clinic_id,
            patient_id=known.id,
            reply_id=reply_id,
            at=text.written_at(unit.now),
            about=question.kind if question else "nothing",
            occurrence_id=question.occurrence_id if question else None,
            request_id=question.request_id if question else None,
            answer=answer.word,
            score=answer.score,
            reason=answer.reason,
        ),
        event_id=stable_id(reply_id, "reply-received"),
    )
