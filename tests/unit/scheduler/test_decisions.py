"""Single decisions, each with the plainest case that shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from services.scheduler.domain import ladder, lateness, timing, transitions
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.identity import element_id, stable_id
from services.scheduler.domain.occurrence import Kind, Occurrence
from services.scheduler.domain.plan import Step
from services.scheduler.domain.reconcile import State, Stored, reconcile
from tests.unit.scheduler.builders import NEW_YORK, PATIENT, RULES, dose, medicine, plan, utc

NOW = utc(2026, 11, 23, 13, 30)


def occurrence(name: str, kind: Kind = "dose-due", due: int = -30, useful: int = 60) -> Occurrence:
    """Due so many minutes from now, useful for so many after that."""
    at = NOW + timedelta(minutes=due)
    until = at + timedelta(minutes=useful)
    return Occurrence(stable_id(name), kind, element_id(PATIENT, "x", name), "s", date(2026, 11, 23), at, until, until)


def stored(one: Occurrence, state: State) -> Stored:
    return Stored(one.id, one.kind, state, one.due_at, one.useful_until)


SAID = occurrence("said")


def test_said_and_not_sent_is_reissued_where_the_new_version_still_has_it() -> None:
    again = reconcile([stored(SAID, "said")], [SAID], NOW)
    assert (again.reissue, again.plan, again.withdraw) == ((SAID,), (), ())


def test_said_and_not_sent_is_withdrawn_where_it_has_it_no_more() -> None:
    assert reconcile([stored(SAID, "said")], [], NOW).withdraw == (SAID.id,)


def test_said_long_ago_is_neither_said_again_nor_taken_back() -> None:
    old = occurrence("said", due=-90)
    assert reconcile([stored(old, "said")], [old], NOW) == reconcile([stored(old, "said")], [], NOW) == reconcile([], [], NOW)


def test_said_and_moved_to_later_is_planned_for_then() -> None:
    later = occurrence("said", due=120)
    assert reconcile([stored(SAID, "said")], [later], NOW).plan == (later,)


@pytest.mark.parametrize("state", ["sent", "expired", "closed"])
def test_what_is_over_never_comes_back(state: State) -> None:
    later = occurrence("said", due=120)
    assert reconcile([stored(SAID, state)], [later], NOW) == reconcile([], [], NOW)


def test_what_was_taken_back_may_be_planned_again_while_it_lies_ahead() -> None:
    later = occurrence("said", due=120)
    assert reconcile([stored(later, "withdrawn")], [later], NOW).plan == (later,)
    assert reconcile([stored(SAID, "withdrawn")], [SAID], NOW).plan == ()


def test_what_a_new_version_adds_for_the_past_does_not_exist_unless_it_waits_for_a_person() -> None:
    dose_, visit = occurrence("new"), occurrence("visit", "follow-up-due", due=-3000, useful=9000)
    assert reconcile([], [dose_, visit], NOW).plan == (visit,)


def test_a_plan_that_starts_has_what_its_first_day_has_already_brought() -> None:
    assert reconcile([], [SAID], NOW, new_from=SAID.due_at).plan == (SAID,)


def test_of_several_late_lessons_only_the_newest_is_told() -> None:
    lessons = [occurrence(name, "education-due", due, 2880) for name, due in (("a", -2000), ("b", -1000), ("c", -90))]
    told = {verdict.occurrence.id: verdict for verdict in lateness.judge(lessons, NOW, RULES)}
    assert [told[one.id].outcome for one in lessons] == ["expire", "expire", "say"]
    assert told[lessons[0].id].reason == lateness.SUPERSEDED


def test_two_at_the_same_minute_both_go() -> None:
    both = [occurrence("a", "check-in-due", 0, 600), occurrence("b", "check-in-due", 0, 600)]
    assert [verdict.outcome for verdict in lateness.judge(both, NOW, RULES)] == ["say", "say"]


@pytest.mark.parametrize(("minutes", "outcome"), [(-59, "say"), (-60, "expire")])
def test_a_dose_is_said_within_its_hour_or_not_at_all(minutes: int, outcome: str) -> None:
    assert lateness.judge([occurrence("a", due=minutes)], NOW, RULES)[0].outcome == outcome


def test_what_a_person_must_hear_is_said_however_late() -> None:
    late = occurrence("f", "follow-up-due", due=-9000)
    assert lateness.judge([late], NOW, RULES)[0].outcome == "say"


def ladder_of(*days: int) -> tuple[Step, ...]:
    return tuple(Step(date(2026, 11, day), (dose(quantity=str(day)),)) for day in days)


def test_a_ladder_stands_still_while_the_plan_is_paused() -> None:
    one = plan(medicine("m1", *ladder_of(20, 24, 28), kind="titration", ends_on=date(2026, 11, 30)))
    paused = transitions.pause(one, NOW, "other", None).plan
    assert ladder.advance(paused, utc(2026, 11, 26, 13)).facts == ()
    resumed = transitions.resume(paused, utc(2026, 11, 26, 13)).plan.medicines[0]
    assert [step.from_on.day for step in resumed.steps] == [20, 27, 1]
    assert resumed.ends_on == date(2026, 12, 3)
    assert resumed.said_step == 1


def test_a_steady_course_ends_when_it_was_to_end_pause_or_not() -> None:
    one = plan(medicine("m1", ends_on=date(2026, 11, 25)))
    paused = transitions.pause(one, NOW, "other", None).plan
    assert transitions.resume(paused, utc(2026, 11, 27, 13)).plan.status == "completed"


def test_a_pause_that_ends_by_itself_ends_at_local_midnight_even_if_seen_later() -> None:
    paused = transitions.pause(plan(), NOW, "other", date(2026, 11, 25)).plan
    assert ladder.next_change(paused, NOW) == utc(2026, 11, 25, 5)
    assert ladder.advance(paused, utc(2026, 11, 25, 20)).plan.since == utc(2026, 11, 25, 5)


def test_several_steps_passed_in_an_outage_are_one_change_to_the_last() -> None:
    change = ladder.advance(plan(medicine("m1", *ladder_of(20, 21, 22), kind="titration")), NOW)
    assert len(change.facts) == 1
    assert change.plan.medicines[0].said_step == 3


def test_every_third_day_counts_from_the_steps_own_first_day_whatever_the_calendar() -> None:
    for first in range(1, 4):
        one = medicine("m1", Step(date(2026, 11, first), (dose(every_days=3),)))
        taken = [day for day in range(1, 10) if one.doses_on(date(2026, 11, day))]
        assert taken == list(range(first, 10, 3))


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_what_is_over_takes_no_command_but_says_so(status: str) -> None:
    over = plan(status=status)
    with pytest.raises(Refused) as refused:
        transitions.pause(over, NOW, "other", None)
    assert refused.value.conflict
    with pytest.raises(Refused) as refused:
        transitions.change_zone(over, NOW, "Asia/Tokyo")
    assert refused.value.conflict


def test_a_dose_change_keeps_what_was_in_force_before_it() -> None:
    one = plan(medicine("m1", *ladder_of(20, 24, 28), kind="titration"))
    changed = transitions.change_dose(one, NOW, stable_id("m1"), ladder_of(25), "other").plan.medicines[0]
    assert [step.from_on.day for step in changed.steps] == [20, 24, 25]
    with pytest.raises(Refused, match="afterwards"):
        transitions.change_dose(one, NOW, stable_id("m1"), ladder_of(22), "other")


def test_a_routine_that_would_put_two_slots_on_one_time_is_refused() -> None:
    both = plan()
    moving = tuple(replace(slot, times_from="routine") for slot in both.slots)
    with pytest.raises(Refused, match="one time"):
        transitions.change_routine(replace(both, slots=moving), {"morning": time(20)})


def test_a_plan_that_starts_today_shows_what_the_day_has_already_brought() -> None:
    today = transitions.start(plan(starts_on=date(2026, 11, 23)), utc(2026, 11, 23, 20)).plan
    assert today.since == timing.instant(date(2026, 11, 23), time(0), NEW_YORK)
    running = transitions.start(plan(starts_on=date(2026, 11, 1)), utc(2026, 11, 23, 20)).plan
    assert running.since == utc(2026, 11, 23, 20)
