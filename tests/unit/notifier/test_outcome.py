"""What each answer of the provider proves (reliability.md 2.2). The rule behind the table: without proof it is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.outcome import NOT_SENT, Outcome, of_answer, retry_in
from services.notifier.fate import next_look, next_poll
from services.notifier.reconcile import Seen, candidates
from services.notifier.storage.attempts import Attempt

SID = "SM" + "0a" * 16
START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (201, {"sid": SID, "status": "queued"}, "accepted"),
        (200, {"sid": SID, "status": "accepted"}, "accepted"),
        (201, {}, "unknown"),
        (201, {"sid": "not-a-sid"}, "unknown"),
        (302, {}, "unknown"),
        (400, {"code": 21211}, "rejected"),
        (400, {"code": 21610}, "rejected"),
        (400, {"code": 99999}, "rejected"),
        (400, {}, "unknown"),
        (404, {"code": 20404}, "rejected"),
        (408, {"code": 20408}, "unknown"),
        (401, {"code": 20003}, "channel"),
        (401, {}, "channel"),
        (403, {"code": 20005}, "channel"),
        (400, {"code": 30002}, "channel"),
        (429, {"code": 20429}, "not-sent"),
        (429, {}, "not-sent"),
        (400, {"code": 21611}, "not-sent"),
        (400, {"code": 63038}, "not-sent"),
        (500, {"code": 20500}, "unknown"),
        (502, {}, "unknown"),
        (503, {"code": 20503}, "unknown"),
        (504, {}, "unknown"),
    ],
)
def test_answers(status: Any, answer: dict[str, Any], kind: Any) -> None:
    assert of_answer(status, answer).kind == kind


@given(
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["sid", "code", "status"]), st.one_of(st.none(), st.integers(), st.text())),
)
def test_only_429_and_the_documented_codes_prove_that_nothing_was_sent(status: Any, answer: dict[str, Any]) -> None:
    outcome = of_answer(status, answer)
    if outcome.kind == "not-sent":
        assert status == 429 or answer["code"] in {20429, 21611, 63038, 60728}
    if status >= 500 and outcome.kind != "unknown":
        assert answer.get("code") in {20429, 21611, 63038, 60728, 20003, 20005, 20006, 30002}


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (None, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("9" * 9, None)]
)
def test_retry_after(header: str | None, seconds: int | None) -> None:
    assert of_answer(429, {}, header).retry_after == (None if seconds is None else timedelta(seconds=seconds))


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_retries_wait_longer_but_never_over_the_limit(tries: int, spread: float) -> None:
    first, at_most = timedelta(seconds=5), timedelta(minutes=5)
    wait = retry_in(tries, NOT_SENT, first, at_most, spread)
    assert first <= wait <= at_most * 1.25
    assert retry_in(tries, Outcome("not-sent", retry_after=timedelta(hours=1)), first, at_most, spread) == timedelta(hours=1)


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "message_id": UUID(int=2),
        "clinic_id": UUID(int=3),
        "contact_id": UUID(int=4),
        "epoch": 1,
        "outcome": "unconfirmed",
        "started_at": START,
        "valid_until": START + timedelta(hours=1),
        "sid": None,
        "look_at": None,
        "looks": 0,
    }
    return Attempt(**(values | changes))


def test_reconciliation_looks_at_its_four_moments_and_then_never_again() -> None:
    at, looks = next_look(attempt(), START), list[timedelta]()
    while at is not None:
        looks.append(at - START)
        at = next_look(attempt(), at)
    assert looks == [timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1, minutes=5)]


def test_an_accepted_text_is_polled_three_times() -> None:
    at, polls = next_poll(attempt(), START, START), list[timedelta]()
    while at is not None:
        polls.append(at - START)
        at = next_poll(attempt(), START, at)
    assert polls == [timedelta(minutes=10), timedelta(hours=1), timedelta(hours=11)]


@pytest.mark.parametrize(
    ("body", "offset", "matches"),
    [
        ("the text", 0, True),
        ("the text", -60, True),
        ("the text", -61, False),
        ("the text", 120, True),
        ("the text", 121, False),
        ("other", 0, False),
    ],
)
def test_only_the_same_body_of_about_then_can_be_the_attempt(body: str, offset: int, matches: bool) -> None:
    seen = Seen(SID, "sent", None, body, START + timedelta(seconds=offset))
    assert candidates([seen], "the text", START) == ([seen] if matches else [])


def test_a_message_without_a_date_is_nobodys() -> None:
    assert candidates([Seen(SID, "sent", None, "the text", None)], "the text", START) == []
