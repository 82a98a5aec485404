"""Which occurrences a plan has, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest

from services.scheduler.domain import expansion, timing
from services.scheduler.domain.identity import element_id
from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.plan import Appointment, CheckIn, Education, FollowUp, Monitoring, Plan, Review, Step
from tests.unit.scheduler.builders import NEW_YORK, PATIENT, RULES, dose, medicine, plan, utc, wall

START = utc(2026, 11, 1, 4)


def expand(of: Plan, days: int = 7, start: datetime = START) -> list[Occurrence]:
    return expansion.occurrences(of, start, start + timedelta(days=days), RULES)


def local_times(found: list[Occurrence], zone: str = NEW_YORK) -> list[str]:
    return [f"{timing.local(one.due_at, zone):%m-%d %H:%M}" for one in found]


def test_all_medicines_of_a_slot_are_one_occurrence_and_one_text() -> None:
    both = plan(medicine("m1"), medicine("m2", Step(date(2026, 11, 1), (dose(quantity="2.5"),))))
    found = expand(both, 1)
    assert local_times(found) == ["11-01 08:00"]
    assert [item["quantity"] for item in found[0].detail["doses"]] == ["1", "2.5"]


def test_a_ladder_takes_the_step_of_the_local_date() -> None:
    ladder = medicine("m1", Step(date(2026, 11, 1), (dose(),)), Step(date(2026, 11, 3), (dose(quantity="2"),)), kind="titration")
    assert [one.detail["doses"][0]["quantity"] for one in expand(plan(ladder), 4)] == ["1", "1", "2", "2"]


def test_every_other_day_counts_from_the_first_day_of_the_step() -> None:
    alternate = medicine("m1", Step(date(2026, 11, 2), (dose(every_days=2),)))
    assert local_times(expand(plan(alternate))) == ["11-02 08:00", "11-04 08:00", "11-06 08:00"]


def test_weekdays_are_iso_days_of_the_patients_date() -> None:
    mondays = medicine("m1", Step(date(2026, 11, 1), (dose(weekdays=frozenset({1})),)))
    assert [one.local_date.isoweekday() for one in expand(plan(mondays), 15)] == [1, 1]


def test_as_needed_is_never_asked_for() -> None:
    assert expand(plan(medicine("m1", as_needed=True))) == []


def test_a_course_ends_after_its_last_day() -> None:
    assert local_times(expand(plan(medicine("m1", ends_on=date(2026, 11, 2))))) == ["11-01 08:00", "11-02 08:00"]


def test_a_taper_ends_at_its_empty_last_step() -> None:
    steps = (Step(date(2026, 11, 1), (dose(),)), Step(date(2026, 11, 3)))
    assert local_times(expand(plan(medicine("m1", *steps, kind="taper")))) == ["11-01 08:00", "11-02 08:00"]


@pytest.mark.parametrize("status", ["paused", "stopped", "completed"])
def test_nothing_is_due_while_a_plan_is_not_active(status: str) -> None:
    assert expand(plan(status=status)) == []


def test_nothing_is_due_while_the_zone_is_not_known() -> None:
    assert expand(plan(zone=None)) == []


def test_the_answer_to_a_dose_counts_until_the_next_dose_at_most_half_a_day() -> None:
    four_hourly = medicine("m1", Step(date(2026, 11, 1), (dose("morning"), dose("noon"))))
    morning, noon = expand(plan(four_hourly, slots={"morning": "08:00", "noon": "12:00"}), 1)
    assert morning.answer_until - morning.due_at == timedelta(hours=4)
    assert noon.answer_until - noon.due_at == timedelta(hours=12)


def test_the_identity_is_the_slot_and_the_local_date_not_the_time() -> None:
    moved = plan(slots={"morning": "14:00"})
    assert expand(plan(), 1)[0].id == expand(moved, 1)[0].id


def test_moving_the_zone_keeps_each_slot_and_date_once() -> None:
    here, there = expand(plan(), 3), expand(plan(zone="Asia/Tokyo"), 3)
    assert {one.id for one in here} & {one.id for one in there}
    assert len({one.id for one in (*here, *there)}) <= 4


def test_a_check_in_comes_every_so_many_days_and_is_of_no_use_shortly_before_its_window_ends() -> None:
    asked = CheckIn(element_id(PATIENT, "check-in", "mood"), "mood", "mood", date(2026, 11, 2), 3, time(18), timedelta(hours=4))
    found = [one for one in expand(plan(check_ins=(asked,))) if one.kind == "check-in-due"]
    assert local_times(found) == ["11-02 18:00", "11-05 18:00"]
    assert found[0].useful_until - found[0].due_at == timedelta(hours=3)
    assert found[0].answer_until - found[0].due_at == timedelta(hours=4)


def follow_up() -> FollowUp:
    return FollowUp(element_id(PATIENT, "follow-up", "week-1"), date(2026, 11, 2), date(2026, 11, 4), time(10))


def test_a_follow_up_is_due_on_its_day_and_overdue_the_morning_after_its_deadline() -> None:
    found = [one for one in expand(plan(follow_ups=(follow_up(),))) if one.kind.startswith("follow-up")]
    assert local_times(found) == ["11-02 10:00", "11-05 09:00"]
    assert found[1].detail["deadline_at"] == "2026-11-05T05:00:00+00:00"


@pytest.mark.parametrize(
    ("status", "kinds"), [("kept", ["follow-up-overdue"]), ("missed", ["follow-up-due", "follow-up-overdue"])]
)
def test_an_appointments_outcome_goes_with_the_overdue(status: str, kinds: list[str]) -> None:
    known = follow_up().id
    visit = Appointment(element_id(PATIENT, "appointment", "a"), wall(2026, 11, 1, 9), NEW_YORK, known, status)  # type: ignore[arg-type]
    found = [one for one in expand(plan(follow_ups=(follow_up(),), appointments=(visit,))) if one.kind.startswith("follow-up")]
    assert [one.kind for one in found] == kinds
    assert found[-1].detail["appointment_outcome"] == status


def test_a_settled_follow_up_is_never_due_again() -> None:
    settled = plan(follow_ups=(follow_up(),), settled=frozenset({follow_up().id}))
    assert [one for one in expand(settled) if one.kind.startswith("follow-up")] == []


def test_a_follow_up_that_waits_for_a_person_is_due_although_its_day_was_before_the_plan_was_ours() -> None:
    late = plan(follow_ups=(follow_up(),), since=utc(2026, 11, 3))
    assert "follow-up-due" in [one.kind for one in expand(late)]


def test_an_appointment_is_reminded_of_the_day_before_in_the_zone_it_was_booked_in() -> None:
    visit = Appointment(element_id(PATIENT, "appointment", "a"), wall(2026, 11, 5, 10), NEW_YORK)
    away = plan(medicine("m1", as_needed=True), zone="Asia/Tokyo", appointments=(visit,))
    [found] = expand(away)
    assert local_times([found]) == ["11-04 10:00"]
    moved = replace(visit, starts=wall(2026, 11, 5, 14))
    assert expand(replace(away, appointments=(moved,)))[0].id != found.id


def test_a_lab_with_a_result_on_record_is_not_asked_for() -> None:
    lab = Monitoring(element_id(PATIENT, "monitoring", "level"), date(2026, 11, 3), 2, time(10), every_days=3)
    known = plan(medicine("m1", as_needed=True), monitoring=(lab,))
    assert local_times(expand(known)) == ["11-03 10:00", "11-06 10:00"]
    recorded = replace(lab, results=(date(2026, 11, 4),))
    assert local_times(expand(replace(known, monitoring=(recorded,)))) == []
    early = replace(lab, results=(date(2026, 10, 28),))
    assert local_times(expand(replace(known, monitoring=(early,)))) == ["11-06 10:00"]


def test_lessons_and_reviews_come_on_their_day() -> None:
    lesson = Education(element_id(PATIENT, "education", "e"), "sleep", date(2026, 11, 3), time(9))
    review = Review(element_id(PATIENT, "review", "r"), date(2026, 11, 3), time(10), "end-of-titration")
    found = expand(plan(medicine("m1", as_needed=True), education=(lesson,), reviews=(review,)))
    assert [one.kind for one in found] == ["education-due", "review-due"]
