"""The state machine of one text: order and repetition of what the provider says never matter, and doubt never becomes a second
send."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.message import (
    FINISHED,
    MAY_HAVE_LEFT,
    MOVES,
    PROVIDER_STATES,
    RANK,
    STATES,
    MessageState,
    after_statuses,
    may_move,
)

STATUSES = sorted({*PROVIDER_STATES, "something-new"})


@given(st.sampled_from(["attempting", "unconfirmed", "accepted"]), st.lists(st.sampled_from(STATUSES), min_size=1, max_size=5))
def test_all_permutations_agree(start: Any, statuses: list[str]) -> None:
    ends = {after_statuses(start, order) for order in permutations(statuses)}
    assert len(ends) == 1


@given(st.lists(st.sampled_from(STATUSES), min_size=1, max_size=6))
def test_saying_it_twice_changes_nothing(statuses: list[str]) -> None:
    assert after_statuses("attempting", statuses) == after_statuses("attempting", statuses + statuses)


@given(st.sampled_from(["accepted", "sent"]), st.lists(st.sampled_from(STATUSES), min_size=1, max_size=6))
def test_the_201_before_or_after_the_callbacks_ends_the_same(own: str, statuses: list[str]) -> None:
    assert after_statuses(after_statuses("attempting", [own]), statuses) == after_statuses("attempting", [*statuses, own])


@given(st.sampled_from(STATES), st.sampled_from(STATUSES))
def test_statuses_only_make_legal_moves(state: Any, status: Any) -> None:
    after = after_statuses(state, [status])
    assert after == state or may_move(state, after)


def test_a_delivery_receipt_outranks_a_failure() -> None:
    assert after_statuses("attempting", ["undelivered", "delivered"]) == "delivered"
    assert after_statuses("attempting", ["delivered", "failed"]) == "delivered"


def test_nothing_that_may_have_left_is_ever_queued_again() -> None:
    """Only `attempting` goes back, and only with proof that nothing left."""
    for state in MAY_HAVE_LEFT - {"attempting"}:
        assert reachable(state).isdisjoint({"queued", "attempting"})


def test_every_state_has_its_moves_and_ranks_only_rise() -> None:
    assert set(MOVES) == set(STATES)
    for origin, low in RANK.items():
        assert all(RANK[target] > low for target in MOVES[origin])


def test_no_sid_without_a_committed_attempt() -> None:
    assert MOVES["queued"].isdisjoint(RANK)


def test_finished_states_do_not_go_back_to_the_provider() -> None:
    for state in FINISHED - {"withheld", "expired"}:
        assert "attempting" not in reachable(state)


def reachable(state: Any) -> set[MessageState]:
    found, ahead = set[MessageState](), [state]
    while ahead:
        for target in MOVES[ahead.pop()]:
            if target not in found:
                found.add(target)
                ahead.append(target)
    return found
