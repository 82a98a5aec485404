"""Golden lists of wordings: what must be heard as risk, as an opt-out, and what must not (reliability.md P9, domain.md 5.1)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain import lexicon, optout, risk
from services.notifier.domain.parse import words

HERE = Path(__file__).parent
RISK: dict[str, Any] = tomllib.loads((HERE / "golden_risk.toml").read_text("utf-8"))
OPT_OUT: dict[str, Any] = tomllib.loads((HERE / "golden_optout.toml").read_text("utf-8"))
HEARD = [(category, text) for category, texts in RISK["heard"].items() for text in texts]
WISHES = [(name, text) for name, texts in OPT_OUT.items() for text in texts]


def test_the_lists_are_long_enough() -> None:
    assert len(HEARD) >= 60
    assert len(RISK["quiet"]["texts"]) >= 60
    assert len(WISHES) >= 150


@pytest.mark.parametrize(("category", "text"), HEARD)
def test_risk_is_heard(category: str, text: str) -> None:
    assert risk.hear(words(text)) == category


@pytest.mark.parametrize("text", RISK["quiet"]["texts"])
def test_idioms_and_everyday_talk_are_no_risk(text: str) -> None:
    assert risk.hear(words(text)) is None


@pytest.mark.parametrize(("wish", "text"), WISHES)
def test_what_a_text_wishes(wish: str, text: str) -> None:
    assert (optout.wish(words(text)) or "none") == wish


@pytest.mark.parametrize("text", [text for name, text in WISHES if name != "none"])
def test_an_opt_out_is_no_risk_wording(text: str) -> None:
    assert risk.hear(words(text)) is None


def test_every_bare_keyword_of_twilio_is_known() -> None:
    for keyword in lexicon.raw("lexicon_optout.toml")["twilio"]["stop"]:
        assert optout.wish(words(keyword)) == "keyword"
        assert optout.twilio_answers(f" {keyword.lower()} ", None)


def test_twilio_does_not_answer_a_keyword_among_words() -> None:
    assert not optout.twilio_answers("STOP please", None)
    assert not optout.twilio_answers("stop.", None)
    assert optout.twilio_answers("whatever it was", "STOP")


@pytest.mark.parametrize(("told", "wish"), [("STOP", "keyword"), ("START", "start"), ("HELP", "help")])
def test_twilios_own_word_decides(told: str, wish: str) -> None:
    assert optout.wish(words("anything"), told) == wish


def test_yes_begins_nothing() -> None:
    assert optout.wish(words("YES")) is None


@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    said = words(text)
    risk.hear(said)
    optout.wish(said)


PARTS = ["😭", "\x00", "stop the ", "kill ", "a b c ", "'", "no ", "\u202e", "took all ", "don't ", "ab", " "]


@given(st.sampled_from(PARTS), st.integers(1, 2500))
def test_ten_thousand_letters_are_read_too(part: str, times: int) -> None:
    said = words((part * times)[:10_000])
    risk.hear(said)
    optout.wish(said)


def test_risk_is_heard_at_the_end_of_a_long_text() -> None:
    assert risk.hear(words("la " * 3300 + "i want to die")) == "suicide"


ANSWERS = ["1", "2", "3", "taken", "took it", "skipped", "later", "done"]


@given(st.sampled_from(ANSWERS), st.sampled_from(["", " ", "!", ".", " 👍", "\n"]))
def test_no_adherence_reply_ends_the_texts(answer: str, tail: str) -> None:
    assert optout.wish(words(answer + tail)) is None


def test_item_nine_is_risk_wording_by_itself() -> None:
    assert risk.risk_in_answer("phq-9", "9", 1) == "suicide"
    assert risk.risk_in_answer("phq-9", "9", 0) is None
    assert risk.risk_in_answer("phq-9", "8", 3) is None


def test_crisis_lines() -> None:
    assert "988" in risk.crisis_line("US", "en")
    assert "AYUDA" in risk.crisis_line("us", "es")
    assert "112" in risk.crisis_line("XX", "en")
    for table in lexicon.raw("crisis_lines.toml")["country"].values():
        for line in table.values():
            assert line["source"]
            assert line["text"].isascii()
            assert len(line["text"]) <= 90
