"""Opted out or not: a function of the set of signals, in whatever order they came (reliability.md R25, R26, P8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Literal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.standing import How, Signal, opt_out_in_force

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)


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
