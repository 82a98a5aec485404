# ruff: noqa: E501, RUF005  lists of wordings read best a kind a line
"""One text read as an answer to one kind of question: doses, scores, visits, pauses, a clinician's code."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from services.adherence.data import __file__ as adherence_data
from services.notifier.domain import answers
from services.notifier.domain.answers import Answer
from services.notifier.domain.parse import words

PAUSE = timedelta(days=3)


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
