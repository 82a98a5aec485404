"""Twilio's own keywords: which words, what state after, and when it stays silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadypath.phone.keywords import handle

STOPS = ["STOP", "stop", " Stop ", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"]


@pytest.mark.parametrize("word", STOPS)
def test_a_stop_word_ends_texts_and_is_confirmed_once(word: str) -> None:
    first, second = handle(word, opted_out=False), handle(word, opted_out=True)
    assert first.kind == second.kind == "STOP"
    assert first.opted_out
    assert second.opted_out
    assert "unsubscribed" in (first.answer or "")
    assert second.answer is None


@pytest.mark.parametrize("word", ["START", "unstop", "Yes"])
def test_a_start_word_brings_texts_back(word: str) -> None:
    handling = handle(word, opted_out=True)
    assert (handling.kind, handling.opted_out) == ("START", False)
    assert "re-subscribed" in (handling.answer or "")


def test_yes_from_one_who_never_left_is_not_answered() -> None:
    assert handle("YES", opted_out=False).answer is None


@given(st.booleans(), st.sampled_from(["HELP", "info"]))
def test_help_changes_nothing_and_is_answered(opted_out: bool, word: str) -> None:
    handling = handle(word, opted_out=opted_out)
    assert (handling.kind, handling.opted_out) == ("HELP", opted_out)
    assert handling.answer


@given(
    st.booleans(), st.sampled_from(["STOP please", "I stopped taking it", "opt out", "1", "can't stop crying", "yes please", "."])
)
def test_only_the_whole_word_counts(opted_out: bool, text: str) -> None:
    handling = handle(text, opted_out=opted_out)
    assert (handling.kind, handling.opted_out, handling.answer) == (None, opted_out, None)
