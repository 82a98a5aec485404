"""Both readings in words, for the refusal that holds them against each other. No medicine is named."""

from __future__ import annotations

from decimal import Decimal

from steadypath.enrol.fhir.bounds import Bounds
from steadypath.enrol.fhir.text import TextReading
from steadypath.enrol.fhir.text_days import DayOfText
from steadypath.enrol.fhir.timing import Stated

_UNITS = {"min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month"}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def number(value: Decimal) -> str:
    return f"{value.normalize():f}"


def spread(low: Decimal, high: Decimal) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"


def times(count: str, period: str) -> str:
    return f"once {period}" if count == "1" else f"{count} times {period}"


def text_rhythm(text: TextReading) -> str:
    """ "4 times a day", "once every 4 to 6 hours"."""
    low, high, unit = text.period or (Decimal(1), Decimal(1), "d")
    one = low == high == 1
    period = f"a {_UNITS[unit]}" if one and unit != "h" else f"every {spread(low, high)} {_UNITS[unit]}s"
    first, last = text.times or (1, 1)
    return times(spread(Decimal(first), Decimal(last)), period)


def rhythm(stated: Stated) -> str:
    """ "once a day", "every 8 hours", "once every 2 days", "once a day on mon, wed"."""
    if stated.interval_hours is not None:
        return f"every {stated.interval_hours} hours"
    period = "a day" if stated.every_days == 1 else "a week" if stated.every_days == 7 else f"every {stated.every_days} days"
    days = f" on {', '.join(DAYS[day - 1] for day in stated.weekdays)}" if stated.weekdays else ""
    return times(str(stated.per_day), "a day" if stated.weekdays and stated.every_days == 1 else period) + days


def text_length(text: TextReading) -> str:
    low, high, unit = text.duration or (Decimal(0), Decimal(0), "d")
    return f"for {spread(low, high)} {_UNITS[unit]}{'' if low == high == 1 else 's'}"


def length(bounds: Bounds, days: int | None) -> str:
    if days is not None:
        return f"for {days} day{'' if days == 1 else 's'}"
    if bounds.months is not None:
        return f"for {bounds.months} months"
    return "for a length that it leaves open" if bounds.end else "no end"


def day(one: DayOfText) -> str:
    month, number_, year = one
    return f"{year:04d}-{month:02d}-{number_:02d}" if year else f"--{month:02d}-{number_:02d}"
