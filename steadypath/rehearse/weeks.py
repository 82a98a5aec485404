"""A rehearsal for a terminal: a row of days for each week, then in full what the days only hint at. Plain text, 118 columns."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest

from steadypath.rehearse import words
from steadypath.rehearse.calendar import Calendar, Day, Entry, Group, Week, view
from steadypath.rehearse.marks import CARE_TEAM
from steadypath.rehearse.story import Reply, Story, Text
from steadypath.rehearse.words import legible

WIDTH = 118
_LABEL = 11
_CELL = 13
_BAR = 12


def render(story: Story) -> str:
    """The whole, ending in a line feed. Control characters in bodies are shown as escapes."""
    shown = view(story)
    lines = [
        f"Rehearsal: {words.period(shown)}. Times are each patient's own.",
        *(_overview(shown.calendars) if len(shown.calendars) > 1 else ()),
        *(line for calendar in shown.calendars for line in _calendar(calendar)),
        *_section("Not about one patient of this rehearsal", _one_by_one(shown.elsewhere, named=True)),
        *_section("Assumed, as the files do not say it", _paragraphs(story.assumed)),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _overview(calendars: Sequence[Calendar]) -> Iterator[str]:
    ids = [_shortened(legible(each.patient.id), 30) for each in calendars]
    wide = max(len("patient"), *map(_wide, ids))
    yield ""
    yield f"{_padded('patient', wide)}  texts  busiest day  care team  not sent  zone"
    for name, each in zip(ids, calendars, strict=True):
        busiest = f"{each.busiest} of {each.patient.cap_a_day}"
        numbers = f"{each.sent:>5}  {busiest:>11}  {len(each.heard):>9}  {each.withheld:>8}"
        yield f"{_padded(name, wide)}  {numbers}  {legible(each.patient.zone)}"


def _calendar(calendar: Calendar) -> Iterator[str]:
    patient = calendar.patient
    title = f"{legible(patient.id)}   {legible(patient.zone)}, {words.limits(calendar)}"
    yield from ("", title, "=" * min(_wide(title), WIDTH))
    yield from _grid(calendar)
    yield from _legend(calendar)
    yield from _section("What is said", _groups(calendar.said))
    yield from _section("What is answered", _groups(calendar.answered))
    yield from _section("What the care team hears", _one_by_one(calendar.heard))
    yield from _section("Not sent", _groups(calendar.unsent))


# --- the grid -------------------------------------------------------------------------------------------------------------


def _grid(calendar: Calendar) -> Iterator[str]:
    if calendar.weeks:
        names = "".join(_padded(f"{day.date:%a}", _CELL) for day in calendar.weeks[0].days)
        yield " " * _LABEL + names + "texts of cap"
    seen: dict[Hashable, int] = {}
    for week in calendar.weeks:
        earlier = seen.setdefault(_pattern(week), week.number)
        yield from _row(week) if earlier == week.number else _same(week, earlier)
    yield ""


def _pattern(week: Week) -> Hashable:
    """Equal for weeks that look the same; one in which anything singular happens is like no other."""
    if week.heard or any(day.change for day in week.days):
        return week.number
    return tuple(tuple(_hint(entry) for entry in day.entries) for day in week.days)


def _row(week: Week) -> Iterator[str]:
    cells = [_cell(day, index == 0) for index, day in enumerate(week.days)]
    yield ""
    for label, *parts in zip_longest([f"Week {week.number}"], *cells, _against_cap(week), fillvalue=""):
        yield _padded(label, _LABEL) + "".join(_padded(part, _CELL) for part in parts[:-1]) + parts[-1]


def _same(week: Week, earlier: int) -> Iterator[str]:
    dates = f"{words.span(week.days[0].date, week.days[-1].date)}, as week {earlier}"
    yield ""
    yield _padded(f"Week {week.number}", _LABEL) + _padded(dates, 7 * _CELL) + _against_cap(week)[0]


def _cell(day: Day, first: bool) -> list[str]:
    new_month = first or day.date.day == 1
    notes = [f"* clock {words.by_how_much(day.change)}"] if day.change else []
    if day.full:
        notes.append("* cap reached")
    return [words.short_day(day.date) if new_month else str(day.date.day), *notes, *map(_hint, day.entries)]


def _hint(entry: Entry) -> str:
    if isinstance(entry.what, Reply):
        answer = f"{entry.clock} >{legible(entry.what.text)}"
        return _shortened(answer, _CELL - 1)
    brackets = {"withheld": "({})", "expired": "[{}]"}.get(entry.what.status, "{}")
    return brackets.format(f"{entry.clock} {entry.mark.letter}")


def _against_cap(week: Week) -> list[str]:
    filled = min(_BAR, -(-_BAR * week.counted // week.cap)) if week.cap else 0
    return [f"{week.counted} of {week.cap}", "#" * filled + "." * (_BAR - filled)]


def _legend(calendar: Calendar) -> Iterator[str]:
    own = [f"{mark.letter} {legible(mark.word)}" for mark in calendar.marks if mark.letter != CARE_TEAM]
    heard = " or ".join(legible(mark.word) for mark in calendar.marks if mark.letter == CARE_TEAM)
    meanings = [*own, *([f"{CARE_TEAM} to the care team ({heard})"] if heard else ())]
    states = {words.fate(entry) for day in calendar.days for entry in day.entries}
    meanings += [meaning for state, meaning in (("withheld", "( ) withheld"), ("expired", "[ ] expired")) if state in states]
    yield from _wrapped("Marks: " + ", ".join(meanings) + "." if meanings else "Nothing happens.", "       ")
    for day, change in calendar.changes:
        yield f"* {words.long_day(day)}: {change}"


# --- in full --------------------------------------------------------------------------------------------------------------


def _section(title: str, body: Iterable[str]) -> list[str]:
    lines = list(body)
    return ["", title, "-" * len(title), *lines] if lines else []


def _groups(groups: Iterable[Group]) -> Iterator[str]:
    for group in groups:
        first = group.entries[0]
        fate = f" {words.receiver(first)}, {words.fate(first)}" if words.fate(first) else ""
        yield f"{group.mark.letter}  {legible(group.mark.word)}{fate}: {words.how_often(group)}"
        if group.text or not fate:
            yield from _quoted(group.text)
        for why in words.because(group):
            yield from _wrapped(f"   {legible(why)}", "   ")


def _one_by_one(entries: Iterable[Entry], named: bool = False) -> Iterator[str]:
    for entry in entries:
        what = entry.what
        about = f"about {legible(what.patient)}" if named and what.patient is not None else ""
        label = ", ".join(filter(None, (legible(entry.mark.word), about, words.fate(entry))))
        yield f"{entry.mark.letter}  {words.own_when(entry)}  {label}"
        if what.text is not None:
            yield from _quoted(what.text)
        if isinstance(what, Text) and what.why:
            yield from _wrapped(f"   {legible(what.why)}", "   ")


def _quoted(text: str) -> list[str]:
    return _wrapped(f'   "{legible(text)}"', "    ")


def _paragraphs(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        yield from _wrapped(f"-  {legible(sentence)}", "   ")


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _wide(text: str) -> int:
    """Columns on a terminal: East Asian characters and emoji take two, accents put on top of another none."""
    return sum(0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _padded(text: str, columns: int) -> str:
    return text + " " * max(columns - _wide(text), 0)


def _shortened(text: str, columns: int) -> str:
    while _wide(text) > columns:
        text = text[:-2] + "…"
    return text
