"""Which question a text answers.

A reply belongs to the latest open question whose answer form it fits; never to an older one merely because the latest is answered
already (a second "1" by a nervous thumb must not become yesterday's dose). Late answers keep the occurrence that they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from services.notifier.domain import answers
from services.notifier.domain.answers import Answer, QuestionKind
from services.notifier.domain.parse import Words


@dataclass(frozen=True)
class OpenQuestion:
    """A question that was texted. Instants are UTC; an answer after `answer_until` is late, not lost."""

    message_id: UUID
    contact_id: UUID
    kind: QuestionKind
    asked_at: datetime
    answer_until: datetime
    occurrence_id: UUID | None = None
    request_id: UUID | None = None
    instrument: str | None = None
    item: str | None = None
    answered_at: datetime | None = None
    answered_as: str | None = None


@dataclass(frozen=True)
class Binding:
    """The question and what was answered. `repeat`: the same answer to it again, within moments: nothing new."""

    question: OpenQuestion
    answer: Answer
    repeat: bool = False


@dataclass(frozen=True)
class Windows:
    """`late_within`: how long after its asking a question still takes a late answer. `repeat_within`: the same answer again
    so soon is a repeat."""

    late_within: timedelta
    repeat_within: timedelta


def bind(said: Words, questions: Iterable[OpenQuestion], now: datetime, zone: str | None, windows: Windows) -> Binding | None:
    """The question that the text answers, or None. `zone` (IANA) is the patient's, for "last night"."""
    asked = [question for question in questions if question.asked_at <= now and now - question.asked_at <= windows.late_within]
    asked.sort(key=lambda question: (question.asked_at, question.message_id.int), reverse=True)
    if answers.of_yesterday(said):
        said, asked = answers.without_yesterday(said), _before_today(asked, now, zone)
    fitting = [
        (question, answer) for question in asked if (answer := answers.read(said, question.kind, question.instrument)) is not None
    ]
    if not fitting:
        return None
    return _repeat(fitting, now, windows) or _open(fitting, now) or Binding(*fitting[0])


def answer_key(answer: Answer) -> str:
    """The answer as kept with its question, to know a repeat."""
    return f"{answer.word}/{answer.score if answer.score is not None else ''}"


def _repeat(fitting: list[tuple[OpenQuestion, Answer]], now: datetime, windows: Windows) -> Binding | None:
    for question, answer in fitting:
        recent = question.answered_at is not None and now - question.answered_at <= windows.repeat_within
        if recent and question.answered_as == answer_key(answer) and not answer.side_effect:
            return Binding(question, answer, repeat=True)
    return None


def _open(fitting: list[tuple[OpenQuestion, Answer]], now: datetime) -> Binding | None:
    for question, answer in fitting:
        if question.answered_at is None and now <= question.answer_until:
            return Binding(question, answer)
    return None


def _before_today(asked: list[OpenQuestion], now: datetime, zone: str | None) -> list[OpenQuestion]:
    local = ZoneInfo(zone or "UTC")
    today = now.astimezone(local).date()
    return [question for question in asked if question.asked_at.astimezone(local).date() < today]
