"""What a FHIR Timing *states*: how often, at which moments, from when until when. Honoured to the letter, or refused by name.

Nothing is laid on a clock here (laying.py does that) and nothing is guessed: ranges, cycles and what is left open go back to the
prescriber. Codes are complete statements; `repeat.bounds` still applies over them (FHIR R4, Timing.code).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, time
from decimal import Decimal
from fractions import Fraction

from steadypath.enrol.fhir import bounds, moments, node
from steadypath.enrol.fhir.bounds import Bounds
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.outcome import Refusal

GTS = ("http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "http://hl7.org/fhir/v3/GTSAbbreviation")
#: FHIR's TimingAbbreviation codes as (frequency, period, unit).
CODES: dict[str, tuple[int, int, str]] = {
    "BID": (2, 1, "d"), "TID": (3, 1, "d"), "QID": (4, 1, "d"), "AM": (1, 1, "d"), "PM": (1, 1, "d"), "QD": (1, 1, "d"),
    "QOD": (1, 2, "d"), "Q1H": (1, 1, "h"), "Q2H": (1, 2, "h"), "Q3H": (1, 3, "h"), "Q4H": (1, 4, "h"), "Q6H": (1, 6, "h"),
    "Q8H": (1, 8, "h"), "BED": (1, 1, "d"), "WK": (1, 1, "wk"), "MO": (1, 1, "mo"),
}  # fmt: skip
_CODES_TAKEN = "BID, TID, QID, AM, PM, BED, QD, QOD, Q4H, Q6H, Q8H, WK, or repeat"
_UNITS = {"s": Fraction(1, 86400), "min": Fraction(1, 1440), "h": Fraction(1, 24), "d": Fraction(1), "wk": Fraction(7)}
_KNOWN = {
    "boundsDuration", "boundsRange", "boundsPeriod", "count", "countMax", "duration", "durationMax", "durationUnit", "frequency",
    "frequencyMax", "period", "periodMax", "periodUnit", "dayOfWeek", "timeOfDay", "when", "offset", "id",
}  # fmt: skip


@dataclass(frozen=True)
class Stated:
    """One timing's statement. `per_day`: doses on a day of taking. `every_days`: from one day of taking to the next (1 with
    `weekdays`). `interval_hours`: set where an interval was stated, not a frequency. `label`: AM, PM or BED."""

    per_day: int
    every_days: int = 1
    weekdays: tuple[int, ...] = ()
    times: tuple[time, ...] = ()
    when: tuple[str, ...] = ()
    offset: int = 0
    interval_hours: int | None = None
    label: str | None = None
    bounds: Bounds = field(default_factory=Bounds)
    #: ISO 8601, as the file has it: "P1D", "P2W".
    every: str = "P1D"
    #: False: only bounds were stated (as needed); how often stands open.
    rhythm: bool = True

    @property
    def rate(self) -> Fraction:
        """Doses a day, on average."""
        return Fraction(self.per_day * (len(self.weekdays) or 7), 7) / self.every_days

    @property
    def laid(self) -> bool:
        """Whether the clinic's routine must say at what time of day."""
        return not self.times and not self.when


def read(timing: Json, path: str) -> Stated:
    """What the timing states. Raises Refusal naming the element."""
    for key in ("event", "extension"):
        if timing.get(key):
            raise Refusal(f"{path}.{key}", "This timing cannot be planned from.", "timing.repeat, or timing.code")
    repeat = node.child(timing, "repeat", path) or {}
    where = f"{path}.repeat"
    _refuse_open(repeat, where)
    code = _code(timing, path)
    if code is None and not set(repeat) & {"frequency", "period", "dayOfWeek", "timeOfDay", "when"}:
        raise Refusal(
            where if repeat else path, "It does not say how often in a way that can be planned.", f"timing.code ({_CODES_TAKEN})"
        )
    found = _read_repeat(_with_code(repeat, code, path), where)
    if code in ("AM", "PM", "BED") and found.laid:
        found = replace(found, label=code)
    return replace(found, bounds=bounds.read(repeat, where, found.per_day))


def _refuse_open(repeat: Json, path: str) -> None:
    """What leaves something to be decided, or says what nobody takes at home."""
    if unknown := sorted(set(repeat) - _KNOWN):
        raise Refusal(
            f"{path}.{unknown[0]}", "This timing says more than can be planned.", "the elements of FHIR R4 Timing.repeat"
        )
    for key, decide in (
        ("periodMax", "how long the interval is"),
        ("frequencyMax", "how many times"),
        ("countMax", "how many doses in all"),
        ("boundsRange", "how long it is taken"),
    ):
        if repeat.get(key) is not None:
            raise Refusal(f"{path}.{key}", f"A range leaves open {decide}: the prescriber must decide.", "one value, not a range")
    for key in ("duration", "durationMax", "durationUnit"):
        if repeat.get(key) is not None:
            raise Refusal(f"{path}.{key}", "A dose that lasts (an infusion) is not taken at home.", "boundsDuration for a course")


def _code(timing: Json, path: str) -> str | None:
    concept = node.child(timing, "code", path)
    if concept is None:
        return None
    found = {code for system, code, _ in node.codings(concept, f"{path}.code") if code in CODES and system in (None, *GTS)}
    if len(found) > 1:
        raise Refusal(f"{path}.code", "Its codings say different things.", "one code")
    if not found and not node.child(timing, "repeat", path):
        raise Refusal(f"{path}.code", "This timing code is not known.", _CODES_TAKEN)
    return found.pop() if found else None


def _with_code(repeat: Json, code: str | None, path: str) -> Json:
    """The repeat with what the code says. Where both say how often, they must say the same."""
    if code is None:
        return repeat
    frequency, period, unit = CODES[code]
    if "frequency" in repeat or "period" in repeat:
        own = _rate(repeat, f"{path}.repeat")
        if own != (Fraction(frequency) / (period * _UNITS[unit]) if unit in _UNITS else None):
            raise Refusal(
                f"{path}.code", f"timing.code says {code}; timing.repeat says something else.", "one of the two, or both alike"
            )
        return repeat
    return {**repeat, "frequency": frequency, "period": period, "periodUnit": unit}


def _rate(repeat: Json, path: str) -> Fraction | None:
    frequency = node.positive_int(repeat, "frequency", path) or 1
    period, unit = node.number_of(repeat, "period", path), node.text_of(repeat, "periodUnit", path)
    if period is None or period <= 0 or unit not in _UNITS:
        return None
    return Fraction(frequency) / (Fraction(period) * _UNITS[unit])


def _read_repeat(repeat: Json, path: str) -> Stated:
    weekdays = moments.weekdays(repeat, path)
    times, when, offset = moments.times(repeat, path), moments.when(repeat, path), moments.offset(repeat, path)
    if times and when:
        raise Refusal(f"{path}.when", "FHIR does not allow it beside timeOfDay.", "one of the two")
    named = len(times) or len(when)
    frequency = node.positive_int(repeat, "frequency", path)
    period = node.number_of(repeat, "period", path)
    unit = node.text_of(repeat, "periodUnit", path)
    if period is None:
        if unit is not None or (frequency is not None and frequency != named):
            raise Refusal(f"{path}.period", "It does not say in which period.", "period and periodUnit")
        found = Stated(named or 1)
    else:
        found = _of_period(frequency, period, unit, path, (len(weekdays), named))
    return _checked(replace(found, weekdays=weekdays, times=times, when=when, offset=offset), path)


def _of_period(frequency: int | None, period: Decimal, unit: str | None, path: str, stated: tuple[int, int]) -> Stated:
    days_of_week, named = stated
    if unit in ("mo", "a"):
        raise Refusal(f"{path}.periodUnit", "Months and years have no fixed number of days.", "d or wk: every 4 wk, for example")
    if unit not in _UNITS:
        raise Refusal(f"{path}.periodUnit", "It does not say which unit of time.", "min, h, d or wk")
    if not 0 < period <= 100_000:
        raise Refusal(f"{path}.period", "This period cannot be.", "a number above 0")
    length = Fraction(period) * _UNITS[unit]
    if length < 1 or (length == 1 and unit == "h"):
        return _interval(frequency or 1, length, path, named)
    if length.denominator != 1 or length > 366:
        raise Refusal(f"{path}.period", "This is not a whole number of days.", "whole days, or hours that divide a day")
    return _days(frequency, int(length), unit, path, (days_of_week, named))


def _interval(frequency: int, length: Fraction, path: str, named: int) -> Stated:
    """Every so many hours, or so many times in them."""
    hours = length * 24 / frequency
    if hours < 4:
        raise Refusal(f"{path}.period", "Intervals under four hours cannot be kept by text at home.", "at least every 4 h")
    if 24 % hours or hours.denominator != 1:
        raise Refusal(
            f"{path}.period",
            "This interval falls on other times each day: the prescriber must say which.",
            "every 4, 6, 8, 12 or 24 h, or timeOfDay",
        )
    per_day = 24 // int(hours)
    if named and named != per_day:
        raise Refusal(
            f"{path}.period", f"It says every {hours} hours, and names {named} times of day.", "as many as the interval gives"
        )
    return Stated(per_day, interval_hours=int(hours))


def _days(frequency: int | None, length: int, unit: str, path: str, stated: tuple[int, int]) -> Stated:
    """So many times in so many whole days."""
    days_of_week, named = stated
    every = f"P{length // 7}W" if length % 7 == 0 and unit == "wk" else f"P{length}D"
    if length == 1:
        return _agreed(frequency, named, 1, path, Stated(named or frequency or 1))
    if days_of_week:
        if length != 7 and not (length % 7 == 0 and days_of_week == 1):
            raise Refusal(
                f"{path}.dayOfWeek", "Days of the week do not fit this period.", "a period of 1 wk; several weeks with one day"
            )
        each = _agreed(frequency, named, days_of_week, path, Stated(named or _split(frequency, days_of_week, path)))
        return replace(each, every_days=1 if length == 7 else length, every=every)
    each = _agreed(frequency, named, 1, path, Stated(named or frequency or 1, length, every=every))
    if each.per_day > 1 and not named:
        raise Refusal(
            f"{path}.dayOfWeek", "It does not say on which days: the prescriber must decide.", "dayOfWeek, or once in the period"
        )
    return each


def _split(frequency: int | None, days: int, path: str) -> int:
    if frequency is not None and frequency % days:
        raise Refusal(f"{path}.frequency", "The times do not divide by the days of the week.", "as many times on each day")
    return (frequency or days) // days


def _agreed(frequency: int | None, named: int, days: int, path: str, found: Stated) -> Stated:
    if frequency is not None and frequency != found.per_day * days:
        raise Refusal(
            f"{path}.frequency",
            f"It says {frequency} in the period; its times and days make {found.per_day * days}.",
            "a frequency that its times and days make",
        )
    return found


def _checked(found: Stated, path: str) -> Stated:
    if found.weekdays and found.interval_hours not in (None, 24):
        raise Refusal(f"{path}.dayOfWeek", "An interval of hours does not stop at midnight.", "a frequency on these days")
    if found.laid and found.interval_hours is None and found.per_day > 4:
        raise Refusal(
            f"{path}.frequency", "No routine says when so many doses of a day are taken.", "at most 4 a day, or timeOfDay"
        )
    if found.interval_hours not in (None, 24) and (found.when or not _evenly(found)):
        raise Refusal(
            path, f"Its times of day are not {found.interval_hours} hours apart.", "times at the interval, or no interval"
        )
    if found.per_day > 24:
        raise Refusal(f"{path}.timeOfDay", "These are too many times in a day.", "at most 24 times of day")
    return found


def _evenly(found: Stated) -> bool:
    """Whether stated times keep the stated interval, over midnight as well."""
    minutes = [at.hour * 60 + at.minute for at in found.times]
    gaps = {(later - one) % 1440 for one, later in zip(minutes, minutes[1:] + minutes[:1], strict=True)}
    return not minutes or gaps == {(found.interval_hours or 24) * 60}


def ends_on(stated: Stated, start: date) -> date | None:
    """The last local date, when the first is `start`; None where nothing ends it."""
    return bounds.last_day(stated.bounds, start, stated.per_day, stated.every_days, stated.weekdays)
