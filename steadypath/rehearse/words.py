"""How both human views say a day, a moment and a repetition, and how they keep foreign characters from acting."""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta

from steadypath.rehearse.calendar import Calendar, ClockChange, Entry, Group, View, own_time
from steadypath.rehearse.calendar import clock as wall_clock
from steadypath.rehearse.story import Text

#: Holds one emoji together; printing it does nothing else.
_JOINER = "\u200d"


def legible(text: str, keep: str = "") -> str:
    """As it is, but for what would steer a terminal or turn the writing direction: control characters are shown as escapes."""
    return "".join(each if _harmless(each) or each in keep else _escape(each) for each in text)


def _harmless(character: str) -> bool:
    return character.isprintable() or character == _JOINER or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def count(number: int, one: str, many: str = "") -> str:
    """ "1 text", "2 texts" """
    return f"{number} {one if number == 1 else many or one + 's'}"


def short_day(day: date) -> str:
    """ "23 Nov" """
    return f"{day.day} {day:%b}"


def span(first: date, last: date) -> str:
    """ "8–14 Feb", "29 Mar – 4 Apr" """
    together = (first.year, first.month) == (last.year, last.month)
    return f"{first.day}–{short_day(last)}" if together else f"{short_day(first)} – {short_day(last)}"


def long_day(day: date) -> str:
    """ "Mon 23 Nov 2026" """
    return f"{day:%a} {short_day(day)} {day.year}"


def when(entry: Entry) -> str:
    """ "Mon 23 Nov 08:00", on the clock of the calendar that it stands in"""
    return f"{entry.at:%a} {short_day(entry.at)} {entry.clock}"


def own_when(entry: Entry) -> str:
    """ "Mon 23 Nov 08:00 America/New_York": on the clock of whoever got it."""
    at = own_time(entry.what)
    zone = entry.what.zone if isinstance(entry.what, Text) else at.tzname() or ""
    return f"{at:%a} {short_day(at)} {wall_clock(at)} {zone}"


def how_often(group: Group) -> str:
    """ "once, Mon 23 Nov 08:00"; "3 times, from Mon 23 Nov 08:00 to Wed 25 Nov 08:00" """
    first, last = when(group.entries[0]), when(group.entries[-1])
    return f"once, {first}" if len(group.entries) == 1 else f"{len(group.entries)} times, {first} to {last}"


def because(group: Group) -> tuple[str, ...]:
    """Every reason of a group, with how often where there are several."""
    whys = group.whys
    return tuple(why if len(whys) == 1 else f"{number}× {why}" for why, number in whys)


def fate(entry: Entry) -> str:
    """ "withheld", "expired"; empty for what went."""
    return entry.what.status if isinstance(entry.what, Text) and entry.what.status != "sent" else ""


def receiver(entry: Entry) -> str:
    """To or from whom, where a heading does not say it."""
    if isinstance(entry.what, Text):
        return "to the care team" if entry.what.to == "care-team" else "to the patient"
    return "from the patient" if entry.what.by == "patient" else "from the care team"


def by_how_much(change: ClockChange) -> str:
    """ "+1h", "-30m" """
    minutes = round(change.by / timedelta(minutes=1))
    hours, rest = divmod(abs(minutes), 60)
    return ("+" if minutes > 0 else "-") + (f"{hours}h" if hours else "") + (f"{rest}m" if rest or not hours else "")


def period(shown: View) -> str:
    """ "12 weeks, Mon 23 Nov 2026 to Sun 14 Feb 2027" """
    story = shown.story
    last = story.first_day + timedelta(days=max(7 * story.weeks - 1, 0))
    return f"{count(story.weeks, 'week')}, {long_day(story.first_day)} to {long_day(last)}"


def limits(calendar: Calendar) -> str:
    """The cap, and how near the busiest day comes."""
    cap = calendar.patient.cap_a_day
    return f"at most {count(cap, 'text')} a day, busiest day {calendar.busiest}"
