# ruff: noqa: RUF005  lists of wordings read best a kind a line
"""Which question a text answers, and as what (reliability.md R43-R46)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.answers import QuestionKind
from services.notifier.domain.conversation import Binding, OpenQuestion, Windows, answer_key, bind
from services.notifier.domain.disposition import judge
from services.notifier.domain.parse import words

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)

WINDOWS = Windows(late_within=timedelta(days=3), repeat_within=timedelta(minutes=2))

PAUSE = timedelta(days=3)

PATIENT = UUID(int=1)


def question(
    number: int,
    kind: QuestionKind = "dose",
    *,
    asked: float = 1,
    open_for: float = 4,
    answered: float | None = None,
    instrument: str | None = None,
    item: str | None = None,
) -> OpenQuestion:
    """Asked so many hours ago, open for so many; answered "taken" so many minutes ago."""
    asked_at = NOW - timedelta(hours=asked)
    return OpenQuestion(
        message_id=UUID(int=number),
        contact_id=PATIENT,
        kind=kind,
        asked_at=asked_at,
        answer_until=asked_at + timedelta(hours=open_for),
        occurrence_id=UUID(int=1000 + number),
        answered_at=None if answered is None else NOW - timedelta(minutes=answered),
        answered_as=None if answered is None else "taken/",
        instrument=instrument,
        item=item,
    )


def bound(text: str, *questions: OpenQuestion) -> Binding | None:
    return bind(words(text), questions, NOW, "America/New_York", WINDOWS)


def number_of(found: Binding | None) -> int:
    assert found is not None
    return found.question.message_id.int


def test_the_latest_question_is_answered_first() -> None:
    assert number_of(bound("1", question(1, asked=2), question(2, asked=1))) == 2


def test_the_answer_must_fit_the_question() -> None:
    assert number_of(bound("taken", question(1, asked=2), question(2, "check-in", asked=1, instrument="mood"))) == 1
    assert number_of(bound("7", question(1, asked=1), question(2, "check-in", asked=2, instrument="mood"))) == 2


def test_a_second_answer_goes_to_the_other_open_question() -> None:
    assert number_of(bound("1", question(1, asked=2), question(2, asked=1, answered=30))) == 1


def test_a_second_thumb_is_a_repeat_not_yesterdays_dose() -> None:
    yesterday, today = question(1, asked=24), question(2, asked=1, answered=1)
    found = bound("1", yesterday, today)
    assert number_of(found) == 2
    assert found is not None
    assert found.repeat
    # Half an hour later it is no repeat, and still not yesterday's.
    assert number_of(bound("1", yesterday, question(2, asked=1, answered=30))) == 2


def test_a_correction_goes_to_the_question_it_corrects() -> None:
    found = bound("2", question(1, asked=24), question(2, asked=1, answered=1))
    assert number_of(found) == 2
    assert found is not None
    assert not found.repeat


def test_a_late_answer_keeps_its_occurrence() -> None:
    assert number_of(bound("taken", question(1, asked=14))) == 1
    assert bound("taken", question(1, asked=24 * 4)) is None


def test_last_night_is_not_this_morning() -> None:
    last_night, today = question(1, asked=14), question(2, asked=1)
    assert number_of(bound("I took it last night", last_night, today)) == 1
    assert bound("I took it last night", today) is None


def test_a_question_not_yet_asked_is_not_answered() -> None:
    assert bound("1", question(1, asked=-1)) is None


@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(0, 30), st.booleans()), max_size=6, unique_by=lambda one: one[0]),
    st.sampled_from(["1", "2", "taken", "later", "7"]),
)
def test_binding_does_not_depend_on_the_order_of_rows(rows: list[tuple[int, int, bool]], text: str) -> None:
    asked = [question(hours, asked=hours, open_for=open_for, answered=5 if done else None) for hours, open_for, done in rows]
    assert bound(text, *asked) == bound(text, *reversed(asked))


@given(st.text(max_size=200))
def test_any_text_can_be_judged(text: str) -> None:
    said = words(text)
    found = bind(said, [question(1), question(2, "check-in", instrument="mood")], NOW, None, WINDOWS)
    assert judge(said, None, found, PAUSE).disposition


@pytest.mark.parametrize(
    ("text", "disposition"),
    [
        ("I took it but I want to die", "risk"),
        ("stop texting me I want to kill myself", "risk"),
        ("STOP", "opt-out"),
        ("1", "answer"),
    ]
    + [
        ("start", "opt-in"),
        ("help", "help"),
        ("wrong number", "wrong-number"),
        ("pause 2 days", "pause-texts"),
        ("resume", "resume-texts"),
    ]
    + [
        ("español", "preference"),
        ("3", "side-effect"),
        ("I stopped taking it", "not-understood"),
        ("YES", "answer"),
        ("", "not-understood"),
    ]
    + [("not suicidal", "risk")],
)
def test_the_safe_order(text: str, disposition: str) -> None:
    said = words(text)
    assert judge(said, None, bind(said, [question(1)], NOW, None, WINDOWS), PAUSE).disposition == disposition


def test_risk_and_opt_out_are_both_kept() -> None:
    judged = judge(words("stop texting me I want to kill myself"), None, None, PAUSE)
    assert (judged.risk, judged.wish) == ("suicide", "own-words")


def test_item_nine_above_not_at_all_is_risk_and_an_answer() -> None:
    found = bound("1", question(1, "check-in", instrument="phq-9", item="9"))
    judged = judge(words("1"), None, found, PAUSE)
    assert judged.disposition == "risk"
    assert judged.binding is not None
    assert answer_key(judged.binding.answer) == "score/1"
