"""Gap and pattern rules, follow-ups, and adherence as a range."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adherence.commands.watch import LOOK_BACK
from services.adherence.data import gap_rules, instruments, pattern_rules
from services.adherence.domain.followups import Source, Word, decide
from services.adherence.domain.measure import adherence, worth_saying
from services.adherence.domain.rules import DoseOnRecord, gap_now, judge_gap, pattern_holds
from shared.defaults import default

NOW = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SILENT = ("unknown", "delivered-but-silent")


def dose(hours_ago: float, state: str, why: str | None = None) -> DoseOnRecord:
    return DoseOnRecord(NOW - hours_ago * HOUR, state, why)


@pytest.mark.parametrize(
    ("rule", "hours", "result"),
    [
        ("gap-48h", 47.99, "within"),
        ("gap-48h", 48, "within"),
        ("gap-48h", 48.01, "beyond"),
        ("gap-5-half-lives", 126.9, "within"),
        ("gap-5-half-lives", 127, "edge-not-defined"),
        ("gap-5-half-lives", 164, "edge-not-defined"),
        ("gap-5-half-lives", 164.1, "beyond"),
        ("gap-5-half-lives-inhibited", 293, "within"),
        ("gap-5-half-lives-induced", 70, "edge-not-defined"),
        ("gap-5-half-lives-both", 137, "beyond"),
    ],
)
def test_a_gap_is_within_beyond_or_at_an_edge_nobody_has_defined(rule: str, hours: float, result: str) -> None:
    assert judge_gap(gap_rules()[rule], hours * HOUR) == result


def test_every_rule_and_instrument_names_its_source() -> None:
    sources = [rule.source for rule in gap_rules().values()] + [rule.source for rule in pattern_rules().values()]
    sources += [instrument.source for instrument in instruments().values()]
    assert all(len(source) > 10 for source in sources)
    for rule in gap_rules().values():
        assert rule.within_below <= rule.beyond_above


@pytest.mark.parametrize(
    ("doses", "hours"),
    [
        # The gap runs from the last dose that may have been taken, once a later one has failed.
        ([dose(52, "taken"), dose(28, *SILENT), dose(4, *SILENT)], 52),
        ([dose(52, "taken"), dose(28, "skipped"), dose(4, "missed")], 52),
        # Silence of our own making is no failed dose, and starts the gap afresh.
        ([dose(52, "taken"), dose(28, "unknown", "not-delivered")], None),
        ([dose(52, "taken"), dose(28, "unknown", "not-asked"), dose(4, *SILENT)], 28),
        ([dose(52, "taken"), dose(28, *SILENT), dose(4, "taken")], None),
        # A window still open: the answer is out.
        ([dose(52, "taken"), dose(28, *SILENT), dose(1, "expected")], None),
        # Nothing was ever taken on record: at least as long as the first failed dose is ago.
        ([dose(76, *SILENT), dose(52, *SILENT)], 76),
        ([], None),
    ],
)
def test_the_gap_since_the_last_dose_that_may_have_been_taken(doses: list[DoseOnRecord], hours: float | None) -> None:
    assert gap_now(doses, NOW, None) == (None if hours is None else hours * HOUR)


def test_a_prescribers_decision_starts_the_gap_afresh() -> None:
    failed = [dose(100, "taken"), dose(76, *SILENT), dose(52, *SILENT)]
    assert gap_now(failed, NOW, NOW - 10 * HOUR) is None
    assert gap_now([*failed, dose(4, *SILENT)], NOW, NOW - 10 * HOUR) == 10 * HOUR


def test_three_doses_over_two_days_make_the_pattern_and_one_bad_day_does_not() -> None:
    rule = pattern_rules()["missed-doses"]
    assert pattern_holds(rule, [dose(52, *SILENT), dose(28, "skipped"), dose(4, *SILENT)])
    assert not pattern_holds(rule, [dose(12, *SILENT), dose(8, *SILENT), dose(4, *SILENT), dose(1, *SILENT)])
    assert not pattern_holds(rule, [dose(52, *SILENT), dose(28, "taken"), dose(4, *SILENT)])
    assert not pattern_holds(rule, [dose(52, *SILENT), dose(28, "unknown", "not-delivered"), dose(4, *SILENT)])
    assert pattern_holds(rule, [dose(76, *SILENT), dose(52, *SILENT), dose(28, "unknown", "not-asked"), dose(4, *SILENT)])


def word(source: Source, outcome: str, minutes: int = 0) -> Word:
    return Word(UUID(int=minutes), source, outcome, NOW + timedelta(minutes=minutes))  # type: ignore[arg-type]


def test_a_follow_up_without_a_word_is_unrecorded_never_missed() -> None:
    assert decide([], deadline_passed=False, expected=True).state == "pending"
    assert decide([], deadline_passed=True, expected=True).state == "unrecorded"
    assert decide([], deadline_passed=True, expected=False).state == "withdrawn"


def test_a_persons_word_outranks_an_appointments_and_that_the_patients() -> None:
    words = [word("person", "kept", 1), word("appointment", "missed", 2), word("patient", "kept", 3)]
    assert decide(words, deadline_passed=True, expected=True).state == "kept"
    assert decide(words[1:], deadline_passed=True, expected=True).source == "appointment"
    assert (
        decide([word("person", "kept", 1), word("person", "missed", 2)], deadline_passed=False, expected=False).state == "missed"
    )


@given(st.lists(st.sampled_from(["taken", "skipped", "missed", "unknown", "expected", "withdrawn"])))
def test_adherence_is_a_range_that_holds_the_truth(states: list[str]) -> None:
    measured = adherence(states)
    assert 0 <= measured.low <= measured.high <= 1
    if measured.expected:
        assert round((measured.high - measured.low) * measured.expected) == measured.unknown


def test_a_move_of_five_points_is_said_at_once_and_less_once_a_day() -> None:
    measured = adherence(["taken"] * 17 + ["skipped"] * 3)
    assert worth_saying(measured, None, None, NOW, 0.05)
    assert worth_saying(measured, (0.80, 0.80), NOW, NOW, 0.05)
    assert not worth_saying(measured, (0.84, 0.84), NOW - 23 * HOUR, NOW, 0.05)
    assert worth_saying(measured, (0.84, 0.84), NOW - 24 * HOUR, NOW, 0.05)
    assert not worth_saying(measured, (0.85, 0.85), NOW - 240 * HOUR, NOW, 0.05)


def test_what_is_read_of_a_patients_doses_is_enough_for_all_that_is_watched() -> None:
    assert timedelta(days=default("adherence", "measure_days")) <= LOOK_BACK
    assert max(rule.beyond_above for rule in gap_rules().values()) < LOOK_BACK
