"""From when until when a timing holds: FHIR's bounds and count, as local dates. An end that is said twice must be said alike."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from steadypath.enrol.fhir import node
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.outcome import Refusal

_UNITS = {
    "h": "h", "hour": "h", "hours": "h", "d": "d", "day": "d", "days": "d", "wk": "wk", "week": "wk", "weeks": "wk",
    "mo": "mo", "month": "mo", "months": "mo", "a": "a", "year": "a", "years": "a",
}  # fmt: skip
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Bounds:
    """`start`, `end`: local dates, both included. `not_before`, `not_after`: "HH:MM" on these very days, where a time was given.
    `days` or `months`: a length that needs a start. `count`: doses in all."""

    start: date | None = None
    end: date | None = None
    not_before: str | None = None
    not_after: str | None = None
    days: int | None = None
    months: int | None = None
    count: int | None = None
    #: Which element says when it ends, for refusals.
    element: str = "timing.repeat.bounds[x]"

    @property
    def needs_start(self) -> bool:
        return self.start is None and (self.days is not None or self.months is not None or self.count is not None)

    @property
    def ends(self) -> bool:
        return any(one is not None for one in (self.end, self.days, self.months, self.count))


def read(repeat: Json, path: str, per_day: int) -> Bounds:
    """The bounds of a `Timing.repeat`. Raises Refusal."""
    count = node.positive_int(repeat, "count", path)
    if count is not None and count % per_day:
        raise Refusal(f"{path}.count", "The doses do not fill whole days.", "a multiple of the doses of a day")
    if repeat.get("boundsPeriod") is not None and repeat.get("boundsDuration") is not None:
        raise Refusal(f"{path}.boundsDuration", "FHIR allows one kind of bounds.", "boundsPeriod or boundsDuration")
    if (period := node.child(repeat, "boundsPeriod", path)) is not None:
        return _period(period, f"{path}.boundsPeriod", count)
    if (length := node.child(repeat, "boundsDuration", path)) is not None:
        return _duration(length, f"{path}.boundsDuration", count)
    return Bounds(count=count, element=f"{path}.count" if count else f"{path}.bounds[x]")


def _period(period: Json, path: str, count: int | None) -> Bounds:
    start, end = node.whole_date(period, "start", path), node.whole_date(period, "end", path)
    last, not_after = end or (None, None)
    if last is not None and not_after == "00:00":
        last, not_after = last - DAY, None
    for key, day in (("start", start and start[0]), ("end", last)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise Refusal(f"{path}.{key}", "This date is out of all bounds.", "a date from 2000 to 2200")
    if start and last is not None and last < start[0]:
        raise Refusal(f"{path}.end", "It ends before it starts.", "the day of its start, or later")
    if start is None and last is None:
        raise Refusal(path, "It says neither a start nor an end.", "start, end, or both")
    not_before = start[1] if start and start[1] != "00:00" else None
    return Bounds(start[0] if start else None, last, not_before, not_after, count=count, element=f"{path}.end")


def _duration(length: Json, path: str, count: int | None) -> Bounds:
    if length.get("comparator") is not None:
        raise Refusal(f"{path}.comparator", "It leaves open how long: the prescriber must decide.", "one value")
    value = node.number_of(length, "value", path)
    unit = _UNITS.get(node.text_of(length, "code", path) or (node.text_of(length, "unit", path) or "").lower())
    if value is None or unit is None or not 0 < value <= 100_000:
        raise Refusal(path, "It does not say how long.", "a value above 0 with code h, d, wk, mo or a")
    whole = value / 24 if unit == "h" else value
    if whole != whole.to_integral_value() or (unit in ("d", "h") and whole > 3650):
        raise Refusal(f"{path}.value", "It is not a whole number of days, weeks or months.", "whole days, up to ten years")
    number = int(whole)
    if unit in ("mo", "a"):
        return _within(path, Bounds(months=number * (12 if unit == "a" else 1), count=count, element=path))
    return _within(path, Bounds(days=number * (7 if unit == "wk" else 1), count=count, element=path))


def _within(path: str, found: Bounds) -> Bounds:
    if (found.days or 0) > 3650 or (found.months or 0) > 120:
        raise Refusal(f"{path}.value", "No order holds for so long.", "up to ten years")
    return found


def last_day(bounds: Bounds, start: date, per_day: int, every_days: int, weekdays: tuple[int, ...]) -> date | None:
    """The last local date of taking or of the bounds, the first being `start`. Refused where bounds and count disagree."""
    end = bounds.end
    if bounds.days is not None:
        end = start + timedelta(days=bounds.days - 1)
    elif bounds.months is not None:
        end = _months_later(start, bounds.months) - DAY
    if bounds.count is None:
        return end
    counted = _nth_day(start, bounds.count // per_day, every_days, weekdays)
    if end is not None and (counted > end or _nth_day(start, bounds.count // per_day + 1, every_days, weekdays) <= end):
        raise Refusal(bounds.element, "The bounds and the count end on different days.", "one of the two, or both alike")
    return counted


def _nth_day(start: date, number: int, every_days: int, weekdays: tuple[int, ...]) -> date:
    """The day of the `number`th taking."""
    if not weekdays:
        return start + timedelta(days=(number - 1) * every_days)
    if every_days > 1:
        return first_on(start, weekdays) + timedelta(days=(number - 1) * every_days)
    weeks, left = divmod(number - 1, len(weekdays))
    day = first_on(start, weekdays) + timedelta(weeks=weeks)
    for _ in range(left):
        day = first_on(day + DAY, weekdays)
    return day


def first_on(start: date, weekdays: tuple[int, ...]) -> date:
    """The first of these days of the week from `start` on."""
    return next(day for day in (start + DAY * number for number in range(7)) if not weekdays or day.isoweekday() in weekdays)


def _months_later(start: date, months: int) -> date:
    year, month = divmod(start.month - 1 + months, 12)
    last = calendar.monthrange(start.year + year, month + 1)[1]
    return date(start.year + year, month + 1, min(start.day, last))
