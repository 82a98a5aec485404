"""A rehearsal laid out by week and local day: what both human views show, decided once and without either of them.

Pure. Every text and every reply of the story is in exactly one place: a day of its patient, or `elsewhere`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from steadypath.rehearse.marks import Mark, counts, mark_of, was_heard, was_said
from steadypath.rehearse.story import Rehearsed, Reply, Story, Text

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Entry:
    """Something of one day. `at` is in the zone of the day that it stands in; `clock` is its "HH:MM", with the zone's own
    abbreviation ("01:30 EST") where the clock shows that time twice."""

    at: datetime
    clock: str
    mark: Mark
    what: Text | Reply


@dataclass(frozen=True)
class ClockChange:
    """Wall times "HH:MM" just before and just after, and by how much."""

    before: str
    after: str
    by: timedelta

    def __str__(self) -> str:
        return f"clocks {'forward' if self.by > timedelta() else 'back'} {self.before} → {self.after}"


@dataclass(frozen=True)
class Day:
    """`counted`: texts of it that count against the cap; `full`: as many as the cap lets go."""

    date: date
    entries: tuple[Entry, ...]
    change: ClockChange | None
    counted: int
    full: bool


@dataclass(frozen=True)
class Week:
    """Seven days from the weekday of the first. Week 1 is the story's first; one outside of the story is there only if something
    happened in it. `cap` is of the whole week."""

    number: int
    days: tuple[Day, ...]
    counted: int
    cap: int

    @property
    def heard(self) -> tuple[Entry, ...]:
        """What the care team was sent."""
        return tuple(entry for day in self.days for entry in day.entries if was_heard(entry.what))


@dataclass(frozen=True)
class Group:
    """Entries that say the same, in time order: one wording, one answer, or one reason for not sending."""

    mark: Mark
    text: str
    entries: tuple[Entry, ...]

    @property
    def whys(self) -> tuple[tuple[str, int], ...]:
        """Each reason with how often it was the reason."""
        found: dict[str, int] = {}
        for entry in self.entries:
            if isinstance(entry.what, Text) and entry.what.why:
                found[entry.what.why] = found.get(entry.what.why, 0) + 1
        return tuple(found.items())


@dataclass(frozen=True)
class Calendar:
    """One patient. `said` are the wordings that went to the patient, `answered` what was written back, `heard` the texts to the
    care team one by one, `unsent` what did not go, to whomever."""

    patient: Rehearsed
    weeks: tuple[Week, ...]
    said: tuple[Group, ...]
    answered: tuple[Group, ...]
    heard: tuple[Entry, ...]
    unsent: tuple[Group, ...]

    @property
    def days(self) -> tuple[Day, ...]:
        return tuple(day for week in self.weeks for day in week.days)

    @property
    def sent(self) -> int:
        """Texts that went to the patient."""
        return sum(len(group.entries) for group in self.said)

    @property
    def withheld(self) -> int:
        """Texts that did not go."""
        return sum(len(group.entries) for group in self.unsent)

    @property
    def busiest(self) -> int:
        """The most on one day that the cap counts."""
        return max((day.counted for day in self.days), default=0)

    @property
    def changes(self) -> tuple[tuple[date, ClockChange], ...]:
        return tuple((day.date, day.change) for day in self.days if day.change is not None)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Every mark that stands in a day, in order of first appearance."""
        return tuple(dict.fromkeys(entry.mark for day in self.days for entry in day.entries))


@dataclass(frozen=True)
class View:
    """The whole story. `elsewhere`: about the clinic, or about a patient who is not of the rehearsal; in time order, own zone."""

    story: Story
    calendars: tuple[Calendar, ...]
    elsewhere: tuple[Entry, ...]


def view(story: Story) -> View:
    """Lays the story out. Raises zoneinfo.ZoneInfoNotFoundError for a zone that is none."""
    known = {patient.id for patient in story.patients}
    # Of one moment what was written comes first: the texts of that moment answer it.
    happened: tuple[Text | Reply, ...] = (*story.replies, *story.texts)
    stray = [_own_entry(what) for what in happened if what.patient not in known]
    of_patient: dict[str, list[Text | Reply]] = {patient.id: [] for patient in story.patients}
    for what in happened:
        if what.patient in known:
            of_patient[str(what.patient)].append(what)
    calendars = tuple(_calendar(story, patient, of_patient[patient.id]) for patient in story.patients)
    return View(story, calendars, tuple(sorted(stray, key=_instant)))


def own_time(what: Text | Reply) -> datetime:
    """When it was, on the clock of whoever got or wrote it."""
    return what.at.astimezone(ZoneInfo(what.zone)) if isinstance(what, Text) else what.at


def clock(at: datetime) -> str:
    """Wall time "HH:MM"; with the zone's abbreviation in the hour that an autumn night has twice."""
    twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
    return f"{at:%H:%M %Z}" if twice else f"{at:%H:%M}"


def clock_change(day: date, zone: ZoneInfo) -> ClockChange | None:
    """The change of this local date. One at midnight belongs to the date that it begins, as the wall clock shows it first."""
    start, end = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + _DAY))
    early, late = start - _SECOND, end - _SECOND
    offset = _offset(early, zone)
    if offset == _offset(late, zone):
        return None
    while late - early > _SECOND:
        middle = early + (late - early) // 2
        early, late = (middle, late) if _offset(middle, zone) == offset else (early, middle)
    late = late.replace(microsecond=0)  # offsets change on whole seconds
    before, after = (late + offset).replace(tzinfo=None), (late + _offset(late, zone)).replace(tzinfo=None)
    shown = "24:00" if before == datetime.combine(day + _DAY, time()) else f"{before:%H:%M}"
    return ClockChange(shown, f"{after:%H:%M}", after - before)


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _calendar(story: Story, patient: Rehearsed, happened: Sequence[Text | Reply]) -> Calendar:
    zone = ZoneInfo(patient.zone)
    entries = sorted((_entry(what, what.at.astimezone(zone)) for what in happened), key=_instant)
    unsent = [entry for entry in entries if isinstance(entry.what, Text) and entry.what.status != "sent"]
    return Calendar(
        patient,
        _weeks(story, patient, entries),
        said=_groups((entry for entry in entries if was_said(entry.what)), _wording),
        answered=_groups((entry for entry in entries if isinstance(entry.what, Reply)), _wording),
        heard=tuple(entry for entry in entries if was_heard(entry.what)),
        unsent=_groups(unsent, _reason),
    )


def _weeks(story: Story, patient: Rehearsed, entries: Iterable[Entry]) -> tuple[Week, ...]:
    by_date: dict[date, list[Entry]] = {}
    for entry in entries:
        by_date.setdefault(entry.at.date(), []).append(entry)
    numbers = {(day - story.first_day).days // 7 for day in by_date} | set(range(story.weeks))
    return tuple(_week(story.first_day, number, patient, by_date) for number in sorted(numbers))


def _week(first_day: date, number: int, patient: Rehearsed, by_date: dict[date, list[Entry]]) -> Week:
    dates = [first_day + timedelta(days=7 * number + day) for day in range(7)]
    days = tuple(_day(each, patient, by_date.get(each, ())) for each in dates)
    return Week(number + 1, days, sum(day.counted for day in days), 7 * patient.cap_a_day)


def _day(day: date, patient: Rehearsed, entries: Sequence[Entry]) -> Day:
    counted = sum(1 for entry in entries if counts(entry.what))
    full = 0 < counted >= patient.cap_a_day
    return Day(day, tuple(entries), clock_change(day, ZoneInfo(patient.zone)), counted, full)


def _entry(what: Text | Reply, at: datetime) -> Entry:
    return Entry(at, clock(at), mark_of(what), what)


def _own_entry(what: Text | Reply) -> Entry:
    return _entry(what, own_time(what))


def _instant(entry: Entry) -> datetime:
    """Datetimes of one zone are compared by wall time, which an autumn night has twice."""
    return entry.at.astimezone(UTC)


def _wording(entry: Entry) -> tuple[str, Hashable]:
    return entry.what.text or "", None


def _reason(entry: Entry) -> tuple[str, Hashable]:
    what = entry.what
    return what.text or "", (what.status, what.why) if isinstance(what, Text) else None


def _groups(entries: Iterable[Entry], alike: Callable[[Entry], tuple[str, Hashable]]) -> tuple[Group, ...]:
    found: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.mark, alike(entry)), []).append(entry)
    return tuple(Group(group[0].mark, alike(group[0])[0], tuple(group)) for group in found.values())
