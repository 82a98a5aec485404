"""Every order and repetition of one occurrence's events ends in the same outcome, said in rising revisions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adherence.domain import checkins
from services.adherence.domain.checkins import Instrument, in_a_row
from services.adherence.domain.doses import DoseOutcome, Ledger, decide
from services.adherence.domain.silence import Fact, Window

DUE = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
UNTIL = DUE + timedelta(hours=4)
WINDOW = Window(DUE, UNTIL)
CLOSED = Window(DUE, UNTIL, closed=True)
MOOD = Instrument("mood", ("mood",), 0, 10, "test")
TWO = Instrument("two", ("mood", "sleep"), 0, 10, "test")


def fact(kind: str, minutes: int = 0, *, n: int = 1, **more: object) -> Fact:
    return Fact(UUID(int=n), kind, DUE + timedelta(minutes=minutes), **more)  # type: ignore[arg-type]


FACTS = st.lists(
    st.builds(
        Fact,
        id=st.uuids(),
        kind=st.sampled_from(
            [
                "sent",
                "delivered",
                "undelivered",
                "unconfirmed",
                "unconfirmed-final",
                "withheld",
                "answer",
                "correction",
                "withdrawn",
            ]
        ),
        at=st.integers(0, 600).map(lambda m: DUE + timedelta(minutes=m)),
        value=st.sampled_from(["taken", "skipped", "no", "later", "none", "missed", "opted-out", "channel-down", None]),
        version=st.integers(0, 3),
    ),
    max_size=6,
    unique_by=lambda one: one.id,
)
Move = Callable[[Ledger], Ledger]


def run(moves: list[Move]) -> tuple[Ledger, list[DoseOutcome]]:
    ledger, said = Ledger(), []
    for move in moves:
        ledger, outcome = move(ledger).settled()
        if outcome is not None:
            said.append(outcome)
    return ledger, said


@given(facts=FACTS, dues=st.lists(st.integers(1, 3), min_size=1, max_size=2), order=st.randoms(), again=st.booleans())
def test_any_order_and_any_repetition_ends_the_same(facts: list[Fact], dues: list[int], order: object, again: bool) -> None:
    arrivals: list[Move] = [lambda ledger, one=one: ledger.with_fact(one) for one in facts]  # type: ignore[misc]
    arrivals += [lambda ledger, v=v: ledger.with_window(Window(DUE, UNTIL, due_version=v)) for v in dues]  # type: ignore[misc]
    close: Move = lambda ledger: ledger.closed(incomplete=False, channel_down=False)  # noqa: E731
    straight, _ = run([*arrivals, close])
    shuffled = arrivals * (2 if again else 1)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    # The window's work exists from the first due event on, so it closes at any moment after that.
    first_due = next(i for i in range(len(shuffled)) if run(shuffled[: i + 1])[0].window is not None)
    shuffled.insert(order.randint(first_due + 1, len(shuffled)), close)  # type: ignore[attr-defined]
    ledger, said = run(shuffled)
    assert ledger.said == straight.said
    assert ledger.revision == len(said)
    assert all(one != two for one, two in pairwise(said))


@given(FACTS)
def test_silence_is_never_missed(facts: list[Fact]) -> None:
    spoken = {"answer", "correction"}
    outcome = decide(CLOSED, [one for one in facts if one.kind not in spoken])
    assert outcome.state in {"unknown", "withdrawn"}


@pytest.mark.parametrize(
    ("facts", "window", "why"),
    [
        ([fact("sent"), fact("delivered", n=2)], CLOSED, "delivered-but-silent"),
        ([fact("delivered")], CLOSED, "delivered-but-silent"),
        ([fact("sent")], CLOSED, "delivered-but-silent"),
        ([fact("sent"), fact("undelivered", n=2)], CLOSED, "not-delivered"),
        ([fact("undelivered"), fact("delivered", n=2)], CLOSED, "delivered-but-silent"),
        ([fact("unconfirmed-final")], CLOSED, "not-delivered"),
        ([fact("unconfirmed"), fact("sent", n=2)], CLOSED, "delivered-but-silent"),
        ([fact("withheld", value="opted-out")], CLOSED, "not-asked"),
        ([fact("withheld", value="texts-paused")], CLOSED, "not-asked"),
        ([fact("withheld", value="old-plan-version"), fact("sent", n=2)], CLOSED, "delivered-but-silent"),
        ([fact("withheld", value="channel-down")], CLOSED, "not-delivered"),
        ([fact("sent")], Window(DUE, UNTIL, closed=True, channel_down=True), "not-delivered"),
        ([fact("delivered")], Window(DUE, UNTIL, closed=True, channel_down=True), "delivered-but-silent"),
        ([fact("delivered")], Window(DUE, UNTIL, closed=True, incomplete=True), "record-incomplete"),
        ([], CLOSED, "record-incomplete"),
        ([fact("expired")], Window(DUE, DUE, due_version=0), "not-asked"),
    ],
)
def test_unknown_says_why(facts: list[Fact], window: Window, why: str) -> None:
    assert (decide(window, facts).state, decide(window, facts).why) == ("unknown", why)


def test_a_late_answer_revises_and_says_that_it_is_late() -> None:
    ledger = Ledger().with_window(WINDOW).with_fact(fact("delivered")).closed(incomplete=False, channel_down=False)
    ledger, first = ledger.settled()
    ledger, second = ledger.with_fact(fact("answer", 300, n=2, value="taken")).settled()
    assert first is not None
    assert second is not None
    assert (first.state, first.why, ledger.revision) == ("unknown", "delivered-but-silent", 2)
    assert (second.state, second.late) == ("taken", True)


def test_an_answer_in_time_that_is_read_late_is_not_late() -> None:
    outcome = decide(CLOSED, [fact("answer", 239, value="taken")])
    assert (outcome.state, outcome.late) == ("taken", False)


def test_the_last_answer_counts_and_a_person_outranks_it() -> None:
    answers = [fact("answer", 1, n=1, value="taken"), fact("answer", 2, n=2, value="skipped", reason="felt-better")]
    assert decide(WINDOW, answers).state == "skipped"
    assert decide(WINDOW, answers).reason == "felt-better"
    corrected = decide(WINDOW, [*answers, fact("correction", -5, n=3, value="missed", reason="told-by-phone")])
    assert corrected.state == "missed"


def test_the_same_answer_again_is_no_news_and_makes_nothing_late() -> None:
    once = [fact("answer", 5, value="taken")]
    again = [*once, fact("answer", 400, n=2, value="taken")]
    assert decide(CLOSED, again) == decide(CLOSED, once)
    changed = [fact("answer", 1, n=3, value="skipped"), *again]
    assert (decide(CLOSED, changed).state, decide(CLOSED, changed).late) == ("taken", False)


def test_later_and_unreadable_words_leave_it_open() -> None:
    said = [fact("answer", 1, value="later"), fact("answer", 2, n=2, value="none")]
    assert decide(WINDOW, said).state == "expected"


def test_withdrawn_is_no_longer_expected_unless_its_text_had_begun_or_it_was_reissued() -> None:
    withdrawn = fact("withdrawn", version=2)
    assert decide(WINDOW, [withdrawn]).state == "withdrawn"
    assert decide(CLOSED, [withdrawn, fact("sent", n=2)]).state == "unknown"
    assert decide(WINDOW, [withdrawn, fact("answer", n=2, value="taken")]).state == "taken"
    assert decide(Window(DUE, UNTIL, due_version=3), [withdrawn]).state == "expected"


def test_a_check_in_that_arrived_and_got_nothing_is_missed_else_unasked() -> None:
    assert checkins.decide(CLOSED, "mood", MOOD, [fact("delivered")]).state == "missed"
    unasked = checkins.decide(CLOSED, "mood", MOOD, [fact("withheld", value="opted-out")])
    assert (unasked.state, unasked.why) == ("unasked", "not-asked")
    assert checkins.decide(CLOSED, "mood", MOOD, []).state == "unasked"
    assert checkins.decide(WINDOW, "mood", MOOD, [fact("delivered")]).state == "expected"


def test_scores_outside_the_range_are_no_answer() -> None:
    outcome = checkins.decide(CLOSED, "mood", MOOD, [fact("delivered"), fact("answer", n=2, value="score", score=11)])
    assert outcome.state == "missed"


def test_items_are_asked_one_after_the_other_and_one_answer_is_an_answer() -> None:
    first = fact("answer", 1, value="score", score=7)
    outcome = checkins.decide(CLOSED, "mood", TWO, [fact("delivered", n=9), first])
    assert outcome.state == "answered"
    assert TWO.next_item(outcome.scores) == "sleep"
    both = checkins.decide(WINDOW, "mood", TWO, [first, fact("answer", 300, n=2, value="score", score=3, item="sleep")])
    assert {item: (score.value, score.late) for item, score in both.scores.items()} == {"mood": (7, False), "sleep": (3, True)}
    assert TWO.next_item(both.scores) is None


@pytest.mark.parametrize(
    ("states", "count"),
    [
        (["missed"], 1),
        (["missed", "missed", "answered", "missed"], 2),
        (["missed", "unasked", "withdrawn", "missed"], 2),
        ([], 0),
    ],
)
def test_in_a_row_counts_over_what_was_never_asked(states: list[str], count: int) -> None:
    assert in_a_row(states) == count
