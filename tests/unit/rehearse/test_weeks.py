"""The terminal view: nothing of the story is missing, nothing in it acts on the terminal, and two screens hold a patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings

from steadypath.rehearse.story import Rehearsed, Reply, Story
from steadypath.rehearse.weeks import WIDTH, render
from steadypath.rehearse.words import legible
from tests.unit.rehearse.stories import MONDAY, NEW_YORK, dose, moment, page_to_team, stories, story, withheld


def squeezed(text: str) -> str:
    """Lines are broken at spaces."""
    return "".join(text.split())


@settings(deadline=None)
@given(stories())
def test_every_text_reply_and_reason_is_there(told: Story) -> None:
    seen = squeezed(render(told))
    for text in told.texts:
        assert squeezed(legible(text.text or "")) in seen
        assert squeezed(legible(text.why)) in seen
    for reply in told.replies:
        assert squeezed(legible(reply.text)) in seen
    for sentence in told.assumed:
        assert squeezed(legible(sentence)) in seen


@settings(deadline=None)
@given(stories())
def test_only_line_feeds_move_the_cursor(told: Story) -> None:
    assert render(told) == legible(render(told), keep="\n")


def test_escapes_of_a_reply_are_shown_not_obeyed() -> None:
    shown = render(story(replies=(Reply(moment(MONDAY, 9), "maya", "\x1b[2Jgone\u202e"),)))
    assert "\\x1b[2Jgone\\u202e" in shown


def test_the_day_of_a_clock_change_is_marked_and_named() -> None:
    lines = render(story(dose(moment(MONDAY, 8)))).splitlines()
    (week,) = (index for index, line in enumerate(lines) if line.startswith("Week 1"))
    assert lines[week].split()[2:] == ["8", "Mar", "9", "10", "11", "12", "13", "14", "1", "of", "42"]
    assert lines[week + 1].index("* clock +1h") == lines[week].index("14")
    assert "* Sun 14 Mar 2027: clocks forward 02:00 → 03:00" in lines


def test_what_was_not_sent_is_bracketed_and_explained() -> None:
    late = replace(withheld(moment(MONDAY, 20), "It came too late."), status="expired")
    shown = render(story(withheld(moment(MONDAY, 8), "Texts are paused."), late))
    assert "(08:00 D)" in shown
    assert "[20:00 D]" in shown
    assert "D  dose to the patient, withheld: once, Mon 8 Mar 08:00\n   Texts are paused.\n" in shown
    assert "D  dose to the patient, expired: once, Mon 8 Mar 20:00\n   It came too late.\n" in shown


def test_the_cap_is_at_the_right_and_a_full_day_says_so() -> None:
    shown = render(story(dose(moment(MONDAY, 8)), dose(moment(MONDAY, 9)), cap=2))
    assert "2 of 14" in shown
    assert "* cap reached" in shown
    assert "busiest day 2" in shown


def test_the_care_team_hears_on_its_own_clock() -> None:
    shown = render(story(page_to_team(moment(MONDAY, 17, zone="America/Chicago"), "America/Chicago")))
    assert 'T  Mon 8 Mar 17:00 America/Chicago  alert\n   "Steadypath A7K2, high"' in shown
    assert "18:00 T" in shown


def test_twelve_quiet_weeks_are_folded_onto_one_screen() -> None:
    doses = [dose(moment(MONDAY + timedelta(days=day), 8)) for day in range(84)]
    shown = render(story(*doses, weeks=12)).splitlines()
    assert len(shown) < 45
    assert sum(line.startswith("Week ") and "as week 2" in line for line in shown) == 10  # week 1 has the clock change
    assert any("84 times, Mon 8 Mar 08:00 to Sun 30 May 08:00" in line for line in shown)


def test_the_grid_keeps_to_its_width() -> None:
    wide = Reply(moment(MONDAY, 9), "maya", "👍" * 30 + " thank you so much")
    grid = render(story(dose(moment(MONDAY, 8)), replies=(wide,))).split("Marks:")[0].splitlines()
    assert max(map(len, grid)) <= WIDTH
    assert any("09:00 >👍👍…" in line for line in grid)


def test_several_patients_begin_with_an_overview() -> None:
    one = story(dose(moment(MONDAY, 8)))
    shown = render(replace(one, patients=(*one.patients, Rehearsed("leo", NEW_YORK, 4)))).splitlines()
    assert shown[2].split() == ["patient", "texts", "busiest", "day", "care", "team", "not", "sent", "zone"]
    assert shown[3].split() == ["maya", "1", "1", "of", "6", "0", "0", NEW_YORK]
    assert shown[4].split() == ["leo", "0", "0", "of", "4", "0", "0", NEW_YORK]


def test_what_the_care_team_writes_is_not_the_patients() -> None:
    shown = render(story(page_to_team(moment(MONDAY, 9)), replies=(Reply(moment(MONDAY, 10), "maya", "A7K2", "care-team"),)))
    assert "the care team writes: once" in shown
    assert "the patient writes" not in shown
