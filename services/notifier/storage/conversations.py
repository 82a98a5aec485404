"""Open questions as rows: what was asked of whom, until when, and how it was answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from services.notifier.domain.answers import QuestionKind, instrument_range
from services.notifier.domain.conversation import Binding, OpenQuestion, answer_key
from services.notifier.storage.hearing_tables import open_question
from shared.defaults import default
from shared.messaging.unit import Unit

if TYPE_CHECKING:
    from services.notifier.storage.messages import Message

_KINDS: Mapping[str, QuestionKind] = {
    kind: kind for kind in ("dose", "check-in", "follow-up", "appointment", "monitoring", "question")
}

_ASKED = insert(open_question).on_conflict_do_nothing()


async def asked(unit: Unit, *texts: Message) -> None:
    """Texts that ask have gone (or may have gone): a reply may answer them from now on. A text that asks nothing is no question.

    `params` may hold `answer_until` (ISO 8601, with offset), `instrument` and `item`; without the first, the question is open as
    long as its text was useful.
    """
    rows = [row for row in (_question(unit, text) for text in texts) if row is not None]
    if rows:
        await unit.conn.execute(_ASKED, rows)


def _question(unit: Unit, text: Message) -> dict[str, Any] | None:
    kind = _KINDS.get(text.kind)
    if kind is None or text.patient_id is None:
        return None
    return {
        "message_id": text.id,
        "clinic_id": text.clinic_id,
        "contact_id": text.patient_id,
        "kind": kind,
        "occurrence_id": text.occurrence_id,
        "request_id": text.request_id,
        "instrument": text.params.get("instrument"),
        "item": text.params.get("item"),
        "asked_at": unit.now,
        "answer_until": _answer_until(unit, text),
    }


def _answer_until(unit: Unit, text: Message) -> datetime:
    told: Any = text.params.get("answer_until")
    if told:
        return datetime.fromisoformat(told)
    stays: timedelta = default("notifier", "question_open")
    return max(text.useful_until, unit.now + stays) if text.kind == "question" else text.useful_until


async def questions(unit: Unit, contact_ids: Collection[UUID], within: timedelta) -> list[OpenQuestion]:
    """What was asked of these contacts since then, answered or not, latest first."""
    names = list(OpenQuestion.__dataclass_fields__)
    rows = await unit.conn.execute(
        select(*(open_question.c[name] for name in names))
        .where(open_question.c.contact_id.in_(tuple(contact_ids)), open_question.c.asked_at >= unit.now - within)
        .order_by(open_question.c.asked_at.desc(), open_question.c.message_id.desc())
    )
    return [OpenQuestion(**row._mapping) for row in rows]


async def answered(unit: Unit, binding: Binding, reply_id: UUID) -> None:
    """The question has this answer now; an earlier one is replaced (the events keep both)."""
    await unit.conn.execute(
        update(open_question)
        .where(open_question.c.message_id == binding.question.message_id)
        .values(answered_at=unit.now, answered_as=answer_key(binding.answer), answered_by=reply_id)
    )


async def range_asked(unit: Unit, occurrence_id: UUID | None) -> tuple[int, int]:
    """Lowest and highest answer to what was last asked about an occurrence: what a clarification offers."""
    statement = select(open_question.c.instrument).where(open_question.c.occurrence_id == occurrence_id)
    found = (await unit.conn.execute(statement.order_by(open_question.c.asked_at.desc()).limit(1))).scalar_one_or_none()
    return instrument_range(found)
