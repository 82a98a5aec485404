"""DESIGN.md section 4, "The gate, by kind": every kind against every column, written out by hand from the table, not read from
the code under test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.gate import Limits, Situation, Verdict, Why, decide
from services.notifier.domain.message import KINDS

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
LIMITS = Limits(dose_late_after=timedelta(minutes=60), conversation_runs_for=timedelta(minutes=15))
P = Verdict("pass")


def x(why: Why, ops: bool = False) -> Verdict:
    return Verdict("withhold", why, ops=ops)


def w(why: Why, wait: Any) -> Verdict:
    return Verdict("wait", why, wait)


WINDOW = w("quiet-hours", "window")
CAP = w("over-cap", "cap")

#: What makes each column of the table true.
COLUMN: dict[str, dict[str, Any]] = {
    "no consent": {"consent": False},
    "opted out": {"opted_out": True},
    "quiet hours": {"quiet": True},
    "over cap": {"over_cap": True},
    "old plan version": {"version": "old"},
    "number suspect": {"number_suspect": True},
    "texts paused": {"texts_paused": "by-patient"},
    "key parked": {"key_parked": True},
}

X = [
    x("no-consent"),
    x("opted-out"),
    x("quiet-hours"),
    x("over-cap"),
    x("old-plan-version"),
    x("number-suspect"),
    x("texts-paused"),
    x("key-parked"),
]
ROUTINE = [X[0], X[1], WINDOW, CAP, *X[4:]]
ANSWER = [X[0], X[1], P, P, P, X[5], P, P]
HELP = [P, P, P, P, P, P, P, P]
WELCOME = [X[0], X[1], WINDOW, P, P, P, X[6], P]
TOO_LATE = [Verdict("expire", "too-late")] * 8
# no consent, opted out, quiet hours, over cap, old plan version, number suspect, texts paused, key parked
TABLE: dict[str, list[Verdict]] = {
    "dose": [X[0], X[1], P, P, *X[4:]],
    "dose late": TOO_LATE,
    "check-in": ROUTINE,
    "education": ROUTINE,
    "appointment": ROUTINE,
    "monitoring": ROUTINE,
    "follow-up": ROUTINE,
    "question": [X[0], X[1], P, P, P, X[5], X[6], P],
    "question later": ROUTINE,
    "acknowledgement": ANSWER,
    "clarification": ANSWER,
    "opt-in-confirmation": ANSWER,
    "help": HELP,
    "opt-out-confirmation": HELP,
    "safe-reply": [P, X[1], P, P, P, P, P, P],
    "verification": WELCOME,
    "welcome": WELCOME,
    "alert low": [P, x("opted-out", ops=True), WINDOW, w("over-cap", "digest"), P, x("number-suspect", ops=True), P, P],
    "alert high": [P, x("opted-out", ops=True), P, P, P, x("number-suspect", ops=True), P, P],
    "alert crisis": [P, x("opted-out", ops=True), P, P, P, x("number-suspect", ops=True), P, P],
}


def situation(row: str) -> Situation:
    """Somebody of whom nothing adverse is true, and a text of this row."""
    kind: Any
    nuance: Any
    kind, _, nuance = row.partition(" ")
    base = Situation(now=NOW, kind=kind, role="patient", useful_until=NOW + timedelta(hours=2), due_at=NOW)
    if kind == "alert":
        # The columns about consent, pauses and versions are a patient's; for staff they cannot be ("-" in the table).
        return replace(base, role="care-team", severity=nuance)
    if row == "dose late":
        return replace(base, due_at=NOW - timedelta(minutes=60, seconds=1))
    if row == "question":
        return replace(base, last_inbound_at=NOW - timedelta(minutes=15))
    if row == "question later":
        return replace(base, last_inbound_at=NOW - timedelta(minutes=15, seconds=1))
    return base


CELLS = [(row, column, cells[i]) for row, cells in TABLE.items() for i, column in enumerate(COLUMN)]


@pytest.mark.parametrize(("row", "column", "expected"), CELLS, ids=[f"{row} / {column}" for row, column, _ in CELLS])
def test_cell(row: str, column: str, expected: Verdict) -> None:
    """A "-" of the table is written as P: staff are never withheld for what only a patient can have."""
    assert decide(replace(situation(row), **COLUMN[column]), LIMITS) == expected


def test_every_kind_is_in_the_table() -> None:
    assert {row.split(" ")[0] for row in TABLE} == set(KINDS)


@pytest.mark.parametrize("row", [row for row in TABLE if row != "dose late"])
def test_nothing_adverse_passes(row: str) -> None:
    assert decide(situation(row), LIMITS) == P


def test_dose_on_time_up_to_sixty_minutes() -> None:
    late = replace(situation("dose"), due_at=NOW - timedelta(minutes=60))
    assert decide(late, LIMITS) == P
    assert decide(replace(late, now=NOW + timedelta(microseconds=1)), LIMITS) == Verdict("expire", "too-late")


def test_fuse_withholds_a_dose_and_ops_hears() -> None:
    assert decide(replace(situation("dose"), over_fuse=True), LIMITS) == x("fuse", ops=True)


def test_help_and_opt_out_confirmation_go_once_after_an_opt_out() -> None:
    for kind in ("help", "opt-out-confirmation"):
        again = replace(situation(kind), opted_out=True, went_before=True)
        assert decide(again, LIMITS) == x("opted-out")
        assert decide(replace(again, went_before=False), LIMITS) == P


def test_verification_and_welcome_go_once() -> None:
    for kind in ("verification", "welcome"):
        assert decide(replace(situation(kind), over_cap=True, went_before=True), LIMITS) == x("over-cap")
        assert decide(replace(situation(kind), number_suspect=True, went_before=True), LIMITS) == x("number-suspect")


def test_welcome_without_consent_goes_where_staff_recorded_that_the_number_was_given() -> None:
    assert decide(replace(situation("welcome"), consent=False, number_given=True), LIMITS) == P


def test_answers_stop_in_a_crisis_pause_only() -> None:
    for kind in ("acknowledgement", "clarification"):
        assert decide(replace(situation(kind), texts_paused="crisis"), LIMITS) == x("texts-paused")
        assert decide(replace(situation(kind), texts_paused="by-staff"), LIMITS) == P


@pytest.mark.parametrize("kind", ["dose", "check-in", "welcome", "acknowledgement", "question"])
def test_without_a_zone_nothing_routine_goes(kind: Any) -> None:
    verdict = decide(replace(situation(kind), zone_known=False), LIMITS)
    assert verdict == (w("no-zone", "plan") if kind == "welcome" else x("no-zone"))


@pytest.mark.parametrize("row", ["safe-reply", "help", "opt-out-confirmation", "alert crisis", "alert high"])
def test_without_a_zone_these_still_go(row: str) -> None:
    assert decide(replace(situation(row), zone_known=False), LIMITS) == P


PASSES_SWITCH = {"safe-reply", "opt-out-confirmation", "alert crisis"}


@pytest.mark.parametrize("row", [row for row in TABLE if row != "dose late"])
def test_switch(row: str) -> None:
    off = decide(replace(situation(row), switch="off"), LIMITS)
    assert off == (P if row in PASSES_SWITCH else x("switched-off"))
    everything = decide(replace(situation(row), switch="off-everything"), LIMITS)
    assert everything == x("switched-off", ops=row == "alert crisis")


def test_unseen_plan_version_waits_and_is_withheld_once_useless() -> None:
    unseen = replace(situation("check-in"), version="unseen")
    assert decide(unseen, LIMITS) == w("version-not-seen", "plan")
    assert decide(replace(unseen, now=unseen.useful_until), LIMITS) == x("version-not-seen")


def test_plan_that_is_not_active_stops_what_asks_of_it() -> None:
    for kind in ("dose", "check-in", "education"):
        assert decide(replace(situation(kind), plan_active=False), LIMITS) == x("plan-not-active")
    assert decide(replace(situation("follow-up"), plan_active=False), LIMITS) == P


def test_held_medicine_is_not_asked_for() -> None:
    assert decide(replace(situation("dose"), asking_held=True), LIMITS) == x("asking-held")


def test_useless_by_then_with_the_channel_down_says_so() -> None:
    down = replace(situation("alert crisis"), channel_open=False, now=NOW + timedelta(hours=3))
    assert decide(down, LIMITS) == x("channel-down", ops=True)


ADVERSE = st.fixed_dictionaries(
    {
        "consent": st.booleans(),
        "opted_out": st.booleans(),
        "quiet": st.booleans(),
        "over_cap": st.booleans(),
        "over_fuse": st.booleans(),
        "version": st.sampled_from(["none", "current", "old", "unseen"]),
        "number_suspect": st.booleans(),
        "texts_paused": st.sampled_from(["no", "by-patient", "by-staff", "crisis"]),
        "key_parked": st.booleans(),
        "went_before": st.booleans(),
        "has_number": st.booleans(),
        "switch": st.sampled_from(["on", "off", "off-everything"]),
    }
)


@given(st.sampled_from(sorted(TABLE)), ADVERSE)
def test_one_more_adverse_fact_never_makes_a_text_go(row: str, adverse: dict[str, Any]) -> None:
    """Withheld for one reason stays withheld under any further one."""
    before = decide(situation(row), LIMITS)
    after = decide(replace(situation(row), **adverse), LIMITS)
    if before.action != "pass":
        assert after.action != "pass"
    if adverse["opted_out"] and row not in {"help", "opt-out-confirmation"}:
        assert after.action != "pass"
    if not adverse["has_number"]:
        assert after.action != "pass"
