"""Which fault meets which text, and what then becomes of its callbacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadypath.phone.faults import ANSWER_FAULTS, LATER_FAULTS, Fault, choose, hidden_until, plan, used

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
ONE, OTHER = "+14155550101", "+14155550102"
FAULTS = st.builds(
    Fault,
    fault=st.sampled_from([*ANSWER_FAULTS, *LATER_FAULTS]),
    times=st.one_of(st.none(), st.integers(0, 3)),
    to=st.sampled_from([None, ONE, OTHER]),
    code=st.sampled_from([21610, 30003]),
)


def callbacks(*faults: Fault) -> list[tuple[str, datetime]]:
    return [(step.status, step.due) for step in plan(NOW, faults, calls_back=True) if step.kind == "callback"]


def test_without_faults_sent_then_delivered_are_called_back_at_once() -> None:
    steps = plan(NOW, [], calls_back=True)
    assert [(step.kind, step.status) for step in steps] == [
        ("status", "sent"), ("callback", "sent"), ("status", "delivered"), ("callback", "delivered"),
    ]  # fmt: skip
    assert {step.due for step in steps} == {NOW}


def test_late_moves_the_callbacks_and_not_the_text() -> None:
    steps = plan(NOW, [Fault("late-callback", delay=timedelta(hours=1))], calls_back=True)
    assert {step.due for step in steps if step.kind == "status"} == {NOW}
    assert {step.due for step in steps if step.kind == "callback"} == {NOW + timedelta(hours=1)}


def test_shuffled_doubled_and_lost() -> None:
    assert [status for status, _ in callbacks(Fault("shuffled-callbacks"))] == ["delivered", "sent"]
    assert [status for status, _ in callbacks(Fault("doubled-callback"))] == ["sent", "sent", "delivered", "delivered"]
    assert callbacks(Fault("lost-callback")) == []
    assert [step.status for step in plan(NOW, [Fault("lost-callback")], calls_back=True)] == ["sent", "delivered"]


@pytest.mark.parametrize(("code", "last"), [(30003, "undelivered"), (30036, "failed")])
def test_a_code_that_twilio_gives_later_comes_with_a_callback(code: int, last: str) -> None:
    met = [Fault("reject", code=code)]
    assert met[0].accepts
    assert plan(NOW, met, calls_back=True)[-1] == plan(NOW, met, calls_back=True)[-1].__class__("callback", NOW, last, code)


def test_an_answer_fault_and_what_comes_after_meet_the_same_text() -> None:
    faults = [Fault("late-callback"), Fault("drop-after-accept"), Fault("list-lag"), Fault("hang")]
    assert choose(faults, ONE) == (1, 0, 2)


def test_a_text_that_is_not_taken_uses_up_nothing_else() -> None:
    assert choose([Fault("lost-callback"), Fault("429"), Fault("hang")], ONE) == (1,)


def test_the_list_lags_by_the_delay() -> None:
    assert hidden_until(NOW, [Fault("list-lag", delay=timedelta(minutes=5))]) == NOW + timedelta(minutes=5)
    assert hidden_until(NOW, [Fault("late-callback")]) is None


@given(st.lists(FAULTS, max_size=6), st.sampled_from([ONE, OTHER]))
def test_only_live_faults_for_this_number_are_met_and_each_once(faults: list[Fault], to: str) -> None:
    places = choose(faults, to)
    left = used(faults, places)
    assert len(set(places)) == len(places)
    for place, (before, after) in enumerate(zip(faults, left, strict=True)):
        if place in places:
            assert before.to in {None, to}
            assert before.times is None or after.times == before.times - 1 >= 0
        else:
            assert after == before


@given(st.lists(FAULTS, max_size=6))
def test_every_callback_tells_of_a_status_that_the_text_has(faults: list[Fault]) -> None:
    steps = plan(NOW, faults, calls_back=True)
    moved = {step.status for step in steps if step.kind == "status"}
    assert moved
    assert {step.status for step in steps if step.kind == "callback"} <= moved
    assert all(step.due >= NOW for step in steps)
