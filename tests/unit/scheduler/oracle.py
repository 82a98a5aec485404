"""What a plan asks for and when, worked out naively: to hold the product to, hence without one line of it.

It reads the plan as the clinic states it (the JSON of `PUT .../plan`), walks through real time minute by minute, looks at the
wall clock each time, and writes down what it sees. No arithmetic on offsets, no `fold`. Only the standard library is imported:
test_oracle.py holds it to that. The zones' data are those of whoever calls it (`import shared` pins them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
#: As far as a local date can lie from the UTC date of an instant, a jump over midnight included.
FAR = timedelta(hours=16)

#: Wall time (no zone) -> the instant (UTC) at which a text for it is due.
Walls = Mapping[datetime, datetime]


class Entry(NamedTuple):
    """One text. `name` is the slot's or the element's own id; `taken` is (medicine, quantity, unit) of each dose."""

    at: datetime
    kind: str
    day: date
    name: str
    taken: tuple[tuple[str, str, str], ...] = ()


def changes(zone: str, first: datetime, last: datetime) -> list[datetime]:
    """Every minute in [first, last) at which the wall clock of a zone does not go on by one minute."""
    tz, found, moment = ZoneInfo(zone), list[datetime](), first
    while moment < last:
        later = min(moment + timedelta(hours=6), last)
        if _shown(later, tz) - _shown(moment, tz) != later - moment:
            found += [
                one for one in _minutes(moment + MINUTE, later + MINUTE) if _shown(one, tz) - _shown(one - MINUTE, tz) != MINUTE
            ]
        moment = later
    return found


@lru_cache(maxsize=64)
def walls(zone: str, first: datetime, last: datetime) -> Walls:
    """Walks from `first` to `last`. A time on the wall is due when it is seen first; times that the wall jumps over are due
    after the jump, one minute after the other. What lies in the first hours may have been seen before: begin early."""
    tz, due = ZoneInfo(zone), dict[datetime, datetime]()
    expected = _shown(first, tz)
    for instant in _minutes(first, last):
        wall, late = _shown(instant, tz), instant
        while expected < wall:
            due.setdefault(expected, late)
            expected, late = expected + MINUTE, late + MINUTE
        due.setdefault(wall, instant)
        expected = wall + MINUTE
    return due


def _shown(instant: datetime, tz: ZoneInfo) -> datetime:
    return instant.astimezone(tz).replace(tzinfo=None)


def _minutes(first: datetime, last: datetime) -> Iterator[datetime]:
    while first < last:
        yield first
        first += MINUTE


class Oracle:
    """One stated plan from `first` to `last` (UTC, whole minutes)."""

    def __init__(self, stated: Mapping[str, Any], first: datetime, last: datetime) -> None:
        self.stated, self.first, self.last = stated, first, last
        self.begins = date.fromisoformat(stated["starts_on"])

    def entries(self) -> list[Entry]:
        """Every text in [first, last), in order of time."""
        day, found = (self.first - FAR).date(), list[Entry]()
        while day <= (self.last + FAR).date():
            found += [*self._doses(day), *self._asked(day), *self._visits(day), *self._rest(day)]
            day += DAY
        return sorted(one for one in found if self.first <= one.at < self.last)

    def _at(self, day: date, wall: str, zone: str | None = None) -> datetime:
        seen = walls(zone or self.stated["zone"], self.first - DAY - 2 * FAR, self.last + 2 * DAY + 2 * FAR)
        return seen[datetime.fromisoformat(f"{day.isoformat()}T{wall}")]

    def _nth(self, number: int) -> date:
        """The date of a day of the plan, counted on the fingers: the first is 1."""
        return self.begins + DAY * number - DAY

    def _doses(self, day: date) -> Iterator[Entry]:
        for slot, wall in self.stated["slots"].items():
            taken = tuple(one for medicine in self.stated["medicines"] for one in self._taken(medicine, slot, day))
            if taken:
                yield Entry(self._at(day, wall), "dose-due", day, slot, taken)

    def _taken(self, medicine: Mapping[str, Any], slot: str, day: date) -> Iterator[tuple[str, str, str]]:
        if medicine.get("as_needed") or ("ends_on" in medicine and day.isoformat() > medicine["ends_on"]):
            return
        begun = [step for step in medicine["steps"] if self._nth(step["from_day"]) <= day]
        for dose in begun[-1]["doses"] if begun else ():
            of_slot = dose["slot"] == slot and (not dose.get("weekdays") or day.isoweekday() in dose["weekdays"])
            if of_slot and _comes_round(self._nth(begun[-1]["from_day"]), dose.get("every_days", 1), day):
                yield medicine["id"], dose["quantity"], dose["unit"]

    def _asked(self, day: date) -> Iterator[Entry]:
        for one in self.stated["check_ins"]:
            over = "last_day" in one and day > self._nth(one["last_day"])
            if not over and _comes_round(self._nth(one["first_day"]), one["every_days"], day):
                yield Entry(self._at(day, one["time"]), "check-in-due", day, one["id"])

    def _visits(self, day: date) -> Iterator[Entry]:
        """A follow-up on its day, and at nine on the morning after its deadline. A reminder the day before an appointment, at its
        own time, in its own zone."""
        for one in self.stated["follow_ups"]:
            if day == self._nth(one["due_day"]):
                yield Entry(self._at(day, one["time"]), "follow-up-due", day, one["id"])
            if day == self._nth(one["deadline_day"]):
                yield Entry(self._at(day + DAY, "09:00"), "follow-up-overdue", day, one["id"])
        for one in self.stated["appointments"]:
            on, wall = one["starts_at"].split("T")
            if day == date.fromisoformat(on) - DAY:
                yield Entry(self._at(day, wall, one.get("zone")), "appointment-reminder-due", day, one["id"])

    def _rest(self, day: date) -> Iterator[Entry]:
        for one in self.stated["monitoring"]:
            first, every = self._nth(one["due_day"]), one.get("every_days")
            if day == first or (every and _comes_round(first, every, day)):
                yield Entry(self._at(day, one["time"]), "monitoring-due", day, one["id"])
        for kind in ("education", "reviews"):
            for one in self.stated[kind]:
                if day == self._nth(one["day"]):
                    yield Entry(self._at(day, one["time"]), f"{kind.removesuffix('s')}-due", day, one["id"])


def _comes_round(first: date, every: int, day: date) -> bool:
    while first < day:
        first += timedelta(days=every)
    return first == day


def answered_until(doses: Sequence[Entry], one: Entry, longest: timedelta) -> datetime:
    """Until when an answer to a dose counts: until the next dose of the patient, at most so long."""
    return min([one.at + longest, *(other.at for other in doses if other.at > one.at)])


def first_minute(zone: str, day: date) -> datetime:
    """The first instant at which the wall shows that date."""
    tz, noon = ZoneInfo(zone), datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return next(one for one in _minutes(noon - DAY - FAR, noon + DAY) if _shown(one, tz).date() == day)
