# ruff: noqa: E501, RUF005  lists of wordings read best a kind a line
"""Which question a text answers, and as what (reliability.md R43-R46)."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adherence.data import __file__ as adherence_data
from services.notifier.domain import answers
from services.notifier.domain.answers import Answer, QuestionKind
from services.notifier.domain.conversation import Binding, OpenQuestion, Windows, answer_key, bind
from services.notifier.domain.disposition import judge
from services.notifier.domain.parse import words
from services.notifier.domain.standing import How, Signal, opt_out_in_force

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


DOSE_ANSWERS = {
    "taken": ["1", " 1 ", "1.", "1!", "１", "1️⃣", "Taken", "took it", "I took it", "yes I took it", "done", "Done!", "ok done", "took my meds", "I took my pills", "ive taken it", "yes", "all done thanks", "took it with food", "Thanks, taken", "tomada", "ya la tomé", "me la tomé", "sí", "listo", "yes took all my pills"],
    "skipped": ["2", "2 ", "skip", "skipped", "skipped it", "I skipped it", "missed it", "I didn't take it", "haven't taken it", "forgot", "I forgot to take it", "not today", "ran out", "I'm out of pills"[4:], "no la tomé", "se me olvidó", "2 ran out"],
    "later": ["4", "later", "not yet", "in a minute", "in 10 minutes", "remind me later", "will take it later", "soon", "más tarde", "todavía no", "luego"],
    "side-effect": ["3", "feel sick from it", "it makes me dizzy", "side effects", "I threw up", "me siento mal", "rash on my arm"],
}  # fmt: skip


@pytest.mark.parametrize(("word", "text"), [(word, text) for word, texts in DOSE_ANSWERS.items() for text in texts])
def test_answers_to_a_dose(word: str, text: str) -> None:
    found = answers.read(words(text), "dose")
    assert found is not None
    assert found.word == word


@pytest.mark.parametrize(
    "text",
    [
        "I stopped taking it",
        "should I take it?",
        "did you mean the white one",
        "1 pill left",
        "11",
        "0",
        "5",
        "no",
        "hello",
        "",
        "thanks",
    ]
    + [
        "I took it yesterday and then stopped",
        "taking it makes no sense",
        "what is this",
        "can I take 2?",
        "👍",
        "cancel my appointment",
    ],
)
def test_what_is_no_answer_to_a_dose(text: str) -> None:
    assert answers.read(words(text), "dose") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("skipped, forgot", "forgot"),
        ("2 ran out", "no-supply"),
        ("2 felt sick", "side-effect"),
        ("I forgot", "forgot"),
        ("2", None),
    ]
    + [("ran out of pills", "no-supply"), ("skipped feeling fine", "chose"), ("se me olvidó", "forgot")],
)
def test_why_a_dose_was_skipped(text: str, reason: str | None) -> None:
    found = answers.read(words(text), "dose")
    assert found is not None
    assert (found.word, found.reason) == ("skipped", reason)


def test_taken_and_sick_are_both_heard() -> None:
    assert answers.read(words("1 but I feel sick from it"), "dose") == Answer("taken", side_effect=True)


@pytest.mark.parametrize(
    ("text", "instrument", "score"),
    [("7", "mood", 7), ("10", "mood", 10), ("0", "mood", 0), ("seven", "mood", 7), ("siete", "mood", 7), ("7/10", "mood", 7)]
    + [("7 out of 10", "mood", 7), ("about 6", "mood", 6), ("I'm at a 4", "mood", 4), ("mood 3", "mood", 3), ("3", "phq-9", 3)]
    + [("2 thanks", "phq-2", 2), ("5", "dose", 5)],
)
def test_scores(text: str, instrument: str, score: int) -> None:
    assert answers.read(words(text), "check-in", instrument) == Answer("score", score=score)


@pytest.mark.parametrize(
    ("text", "instrument"), [("11", "mood"), ("4", "phq-9"), ("-1x", "mood"), ("3 or 4", "mood"), ("fine", "mood"), ("0", "dose")]
)
def test_what_is_no_score(text: str, instrument: str) -> None:
    assert answers.read(words(text), "check-in", instrument) is None


def test_every_instrument_of_adherence_has_the_same_range_here() -> None:
    for row in tomllib.loads(Path(adherence_data).with_name("instruments.toml").read_text("utf-8"))["instrument"]:
        assert answers.instrument_range(row["id"]) == (row["lowest"], row["highest"])


@pytest.mark.parametrize(
    ("text", "word"),
    [("1", "yes"), ("2", "no"), ("yes", "yes"), ("No", "no"), ("I'll be there", "yes"), ("can't make it", "no"), ("sí", "yes")]
    + [("need to reschedule", "no"), ("no puedo ir", "no"), ("I went", "yes")],
)
def test_answers_to_an_appointment(text: str, word: str) -> None:
    found = answers.read(words(text), "appointment")
    assert found is not None
    assert found.word == word


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
    ("text", "days"),
    [("pause", 3), ("PAUSE TEXTS", 3), ("pause 3 days", 3), ("pause 5", 5), ("pause for 1 week", 7), ("pausa 2 semanas", 14)]
    + [("pause my reminders for 10 days", 10), ("pausar", 3), ("pause for a week", 7), ("pause 3d", 3), ("pause 0 days", 3)],
)
def test_pauses(text: str, days: int) -> None:
    assert answers.pause_for(words(text), PAUSE) == timedelta(days=days)


@pytest.mark.parametrize("text", ["pause my medication", "should I pause it", "menopause", "paused my lithium", "1", "stop"])
def test_what_pauses_no_texts(text: str) -> None:
    assert answers.pause_for(words(text), PAUSE) is None


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("A7K2", "A7K2", "acknowledge"),
        ("a7k2", "A7K2", "acknowledge"),
        (" a7 k2 ", "A7K2", "acknowledge"),
        ("A 7 K 2", "A7K2", "acknowledge"),
    ]
    + [("A7K2 done", "A7K2", "resolve"), ("done a7k2", "A7K2", "resolve"), ("A7K2 resolved thanks", "A7K2", "resolve")]
    + [("ok", None, "acknowledge"), ("ack", None, "acknowledge"), ("done", None, "resolve"), ("who is this", None, None)],
)
def test_what_a_clinician_means(text: str, code: str | None, word: str | None) -> None:
    assert answers.alert_code(words(text)) == code
    assert answers.staff_word(words(text)) == word


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


# --- opt-out: the state is that of the set of signals, in whatever order it came (R25, R26, P8) -------------------------------


def signal(number: int, way: Literal["out", "in"], second: int | None, how: How = "keyword") -> Signal:
    at = None if second is None else NOW + timedelta(seconds=second)
    return Signal(UUID(int=number), way, how, at, number)


SECONDS = st.one_of(st.none(), st.integers(0, 3))
WAYS: list[Literal["out", "in"]] = ["out", "in"]
SIGNALS = st.lists(st.tuples(st.sampled_from(WAYS), SECONDS), min_size=1, max_size=5)


@given(SIGNALS)
def test_all_orders_of_arrival_agree(told: list[tuple[Literal["out", "in"], int | None]]) -> None:
    ends = set()
    for order in permutations(range(len(told))):
        # The same texts, recorded in this order: seq is the order of arrival.
        arrived = [
            Signal(UUID(int=each), told[each][0], "keyword", signal(0, "out", told[each][1]).at, seq)
            for seq, each in enumerate(order)
        ]
        ends.add(opt_out_in_force(arrived) is None)
    assert len(ends) == 1


@given(SIGNALS)
def test_the_last_by_the_providers_time_wins_and_a_tie_stays_out(told: list[tuple[Literal["out", "in"], int | None]]) -> None:
    timed = [(way, second) for way, second in told if second is not None]
    if len(timed) < len(told) or not timed:
        return
    last = max(second for _way, second in timed)
    expected_out = any(way == "out" for way, second in timed if second == last)
    found = opt_out_in_force([signal(number, way, second) for number, (way, second) in enumerate(timed)])
    assert (found is not None) == expected_out


def test_a_start_whose_time_is_not_known_begins_nothing() -> None:
    assert opt_out_in_force([signal(1, "out", 0), signal(2, "in", None)]) is not None
    assert opt_out_in_force([signal(1, "out", None), signal(2, "in", 5)]) is not None


def test_staff_who_see_the_record_may_lift_it_in_the_same_second() -> None:
    assert opt_out_in_force([signal(1, "out", 0), signal(2, "in", 0, "staff")]) is None
    assert opt_out_in_force([signal(1, "out", None), signal(2, "in", 0, "staff")]) is None
    assert opt_out_in_force([signal(1, "in", 0, "staff"), signal(2, "out", 0)]) is not None
