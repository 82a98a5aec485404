"""The calendar of a rehearsal: everything once, on the right local day, counted as the notifier's cap counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from steadypath.rehearse.calendar import Calendar, clock_change, view
from steadypath.rehearse.marks import mark_of
from steadypath.rehearse.story import Reply, Story
from tests.unit.rehearse.stories import MONDAY, NEW_YORK, SPRING, dose, moment, page_to_team, stories, story, withheld


def only(told: Story) -> Calendar:
    return view(told).calendars[0]


@settings(deadline=None)
@given(stories())
def test_everything_is_in_exactly_one_place(told: Story) -> None:
    shown = view(told)
    placed = Counter(id(entry.what) for entry in shown.elsewhere)
    placed.update(id(entry.what) for each in shown.calendars for day in each.days for entry in day.entries)
    assert placed == Counter(map(id, (*told.texts, *told.replies)))


@settings(deadline=None)
@given(stories())
def test_what_is_in_a_day_is_in_one_list_below_it(told: Story) -> None:
    for each in view(told).calendars:
        groups = (*each.said, *each.answered, *each.unsent)
        listed = [entry for group in groups for entry in group.entries] + list(each.heard)
        assert sorted(map(id, listed)) == sorted(id(entry) for day in each.days for entry in day.entries)


@settings(deadline=None)
@given(stories())
def test_an_entry_stands_on_its_local_date_and_in_time_order(told: Story) -> None:
    for each in view(told).calendars:
        zone = ZoneInfo(each.patient.zone)
        for day in each.days:
            instants = [entry.what.at.astimezone(UTC) for entry in day.entries]
            assert instants == sorted(instants)
            assert all(at.astimezone(zone).date() == day.date for at in instants)


@settings(deadline=None)
@given(stories())
def test_the_weeks_of_the_story_are_all_there(told: Story) -> None:
    for each in view(told).calendars:
        assert set(told.days) <= {day.date for day in each.days}
        assert [week.number for week in each.weeks] == sorted({week.number for week in each.weeks})


@pytest.mark.parametrize(
    ("zone", "day", "said"),
    [
        (NEW_YORK, date(2027, 3, 14), "clocks forward 02:00 → 03:00"),
        (NEW_YORK, date(2027, 11, 7), "clocks back 02:00 → 01:00"),
        (NEW_YORK, date(2027, 3, 13), None),
        (NEW_YORK, date(2027, 3, 15), None),
        ("Asia/Tokyo", date(2027, 3, 14), None),
        ("Australia/Lord_Howe", date(2027, 4, 4), "clocks back 02:00 → 01:30"),
        ("Africa/Cairo", date(2027, 4, 30), "clocks forward 00:00 → 01:00"),
        ("Africa/Cairo", date(2027, 4, 29), None),
        ("Africa/Cairo", date(2027, 10, 28), "clocks back 24:00 → 23:00"),
    ],
)
def test_a_clock_change_is_on_the_day_that_shows_it(zone: str, day: date, said: str | None) -> None:
    change = clock_change(day, ZoneInfo(zone))
    assert (change and str(change)) == said


def test_the_calendar_marks_the_change_and_no_other_day() -> None:
    changed = [day.date for day in only(story(weeks=3)).days if day.change]
    assert changed == [SPRING]


def test_a_time_that_the_clock_shows_twice_says_which() -> None:
    autumn = date(2027, 11, 7)
    said = story(dose(moment(autumn, 1, 30)), dose(moment(autumn, 1, 30, fold=1)), first_day=date(2027, 11, 1))
    assert [entry.clock for entry in only(said).days[6].entries] == ["01:30 EDT", "01:30 EST"]


def test_the_hour_that_comes_twice_is_in_the_order_it_came() -> None:
    autumn = date(2027, 11, 7)
    said = story(dose(moment(autumn, 1, 45)), dose(moment(autumn, 1, 15, fold=1)), first_day=autumn)
    assert [entry.clock for entry in only(said).days[0].entries] == ["01:45 EDT", "01:15 EST"]


def test_the_cap_counts_what_the_clinic_begins() -> None:
    nine = moment(MONDAY, 9)
    counted = (dose(moment(MONDAY, 8)), dose(nine))
    others = (
        withheld(nine, "Paused."),
        page_to_team(nine),
        replace(dose(nine), kind="reply-received"),
        replace(dose(nine), kind="message-requested", answer=True),
    )
    week = only(story(*counted, *others)).weeks[0]
    assert (week.days[0].counted, week.counted, week.cap) == (2, 2, 42)


def test_a_question_counts_and_an_answer_has_another_mark() -> None:
    question = replace(dose(moment(MONDAY, 9)), kind="message-requested")
    assert only(story(question)).weeks[0].counted == 1
    assert [mark_of(text).letter for text in (question, replace(question, answer=True))] == ["Q", "R"]


def test_what_confirms_the_patients_own_wish_is_an_answer() -> None:
    confirmed = replace(dose(moment(MONDAY, 9)), kind="texts-paused")
    assert (mark_of(confirmed).letter, only(story(confirmed)).weeks[0].counted) == ("R", 0)


@pytest.mark.parametrize(("cap", "full"), [(3, False), (2, True), (1, True), (0, True)])
def test_a_day_at_the_cap_is_full(cap: int, full: bool) -> None:
    days = only(story(dose(moment(MONDAY, 8)), dose(moment(MONDAY, 9)), cap=cap)).days
    assert [day.full for day in days] == [full] + [False] * 6


def test_equal_wordings_are_one_with_every_time() -> None:
    said = only(
        story(*(dose(moment(MONDAY + timedelta(days=day), 8)) for day in range(5)), dose(moment(MONDAY, 20), "Another."))
    ).said
    assert [(group.text, len(group.entries)) for group in said] == [("Your 08:00 reminder.", 5), ("Another.", 1)]


def test_reasons_of_what_did_not_go_are_kept_apart() -> None:
    told = story(*(withheld(moment(MONDAY, hour), why) for hour, why in enumerate(("Paused.", "Too late.", "Paused."))))
    assert [group.whys for group in only(told).unsent] == [(("Paused.", 2),), (("Too late.", 1),)]


def test_a_colleague_in_another_zone_is_in_the_patients_day() -> None:
    late = datetime(2027, 3, 9, 4, 30, tzinfo=UTC)  # half past midnight in New York, still Monday evening in Los Angeles
    calendar = only(story(page_to_team(late.astimezone(ZoneInfo("America/Los_Angeles")), "America/Los_Angeles")))
    assert [entry.clock for entry in calendar.days[0].entries] == ["23:30"]
    assert len(calendar.heard) == len(calendar.weeks[0].heard) == 1


def test_what_is_about_no_patient_is_elsewhere() -> None:
    shown = view(story(page_to_team(moment(MONDAY, 9), patient=None)))
    assert [entry.mark.word for entry in shown.elsewhere] == ["alert"]
    assert shown.calendars[0].heard == ()


def test_what_happens_after_the_last_week_adds_that_week_only() -> None:
    calendar = only(story(dose(moment(MONDAY + timedelta(days=30), 8))))
    assert [week.number for week in calendar.weeks] == [1, 5]


def test_an_answer_follows_what_it_answers() -> None:
    at = moment(MONDAY, 8, 5)
    told = story(replace(dose(at), kind="reply-received"), replies=(Reply(at, "maya", "1"),))
    assert [entry.mark.letter for entry in only(told).days[0].entries] == [">", "R"]
