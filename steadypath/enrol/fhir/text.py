"""Reads what a dosage's own *text* says, by itself, so that it can be held against the coded timing.

HL7's examples hold orders whose text and coding disagree, and a real record is no better. The reader knows the common
English wordings of how often, how much, how long, when in the day and "as needed". What it does not know it leaves out: an
unread text contradicts nothing. It never fills a gap in the coding; it only witnesses against it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache

from steadypath.enrol.fhir import text_amounts, text_days
from steadypath.enrol.fhir.text_numbers import NUMBER, RANGE, number_of, plain, unit_of

Times = tuple[int, int]
#: (shortest, longest, FHIR unit of time).
Period = tuple[Decimal, Decimal, str]
Rhythm = tuple[Times, Period]

#: Abbreviations of the Latin and of FHIR's TimingAbbreviation value set, as times a day.
_ABBREVIATIONS = {"qd": 1, "qam": 1, "qpm": 1, "qhs": 1, "od": 1, "bid": 2, "bd": 2, "tid": 3, "tds": 3, "qid": 4, "qds": 4}
_TIME_UNIT = r"(?P<unit>minutes?|mins?|hours?|hrs?|h|days?|d|weeks?|wks?|wk|months?|mo)\b"
_MAXIMUM = re.compile(
    r"(?:do not (?:exceed|take more)|not to exceed|no more than|not more than|up to a maximum|maximum|max)\b.*?(?:[.;](?!\d)|$)"
)
_AS_NEEDED = re.compile(
    r"\bas(?:-| )needed\b|\bp\.?r\.?n\b|\b(?:when|if|whenever) (?:needed|required|necessary)\b|\bas (?:required|necessary)\b"
)
_STEPPED = re.compile(
    r"\b(?:then|followed by|after that|thereafter|afterwards)\b(?=.*(?:\d|\b(?:one|two|three|four|half|increase|decrease|reduce|"
    r"taper|daily|stop|continue)\b))|\b(?:increase|decrease|reduce|titrate|taper)\w*\b.*\b(?:by|to|every|until|over)\b|"
    r"\balternat\w+ with\b|\bof (?:each |the |a )?cycle\b|"
    r"\b(?:\d+|two|three|four|five|seven) (?:days?|weeks?) (?:on|off)\b(?! \w+days?\b)"
)
_VARIABLE = re.compile(
    r"\bsliding scale\b|\baccording to\b|\bdepending on\b|\bbased on\b|\bper (?:inr|protocol|scale)\b|\badjust\w*\b|"
    r"\bmay (?:repeat|increase|take)\b"
)
_SINGLE = re.compile(
    r"\btake once\b|\bsingle dose\b|\bone dose only\b|\bone[- ]time (?:dose|only)\b|\bonce only\b|\bstat\b|\bas a single\b"
)
_NOT_AT_HOME = re.compile(
    r"\b(?:iv|i\.v\.|intravenous\w*|ivpb|infus\w+|drip|bolus|intrathecal\w*|epidural\w*|intramuscular\w*|im injection)\b"
)


@dataclass(frozen=True)
class TextReading:
    """What the text states; None or empty where it states nothing. Periods are (low, high, FHIR unit of time)."""

    #: How many times in one `period`; a range where low differs from high.
    times: Times | None = None
    period: Period | None = None
    #: Whether that was said as such ("twice a day") and not only by the way ("daily").
    explicit: bool = False
    as_needed: bool = False
    #: "for 7 days" as (7, 7, "d").
    duration: Period | None = None
    #: Moments of the day: breakfast, morning, lunch, afternoon, dinner, evening, night, bedtime, meals.
    moments: frozenset[str] = frozenset()
    #: Times by the clock, "09:00".
    clocks: tuple[str, ...] = ()
    #: ISO days of the week, 1 is Monday.
    weekdays: frozenset[int] = frozenset()
    #: Amounts of one intake, by unit: {"tablet": {(1, 2)}}.
    amounts: dict[str, frozenset[tuple[Decimal, Decimal]]] = field(default_factory=dict)
    #: "starting January 16, 2015" as (month, day, year or None); likewise the last day.
    starts: tuple[int, int, int | None] | None = None
    ends: tuple[int, int, int | None] | None = None
    #: "then ...": the text has steps of its own.
    stepped: bool = False
    #: "sliding scale": the amount depends on something that the text does not settle.
    variable: bool = False
    #: "take once": one dose in all.
    single: bool = False
    #: An infusion, or what else only staff gives.
    by_staff: bool = False

    @property
    def silent(self) -> bool:
        return self == TextReading()


@lru_cache(maxsize=4096)
def read_text(text: str) -> TextReading:
    """What an English dosage text states. Never raises: unknown wording is left out."""
    starts, ends, said = text_days.dates(plain(text[:2000]))
    duration, said = _duration(said)
    stepped = _STEPPED.search(said) is not None
    said = _MAXIMUM.sub(" ", said)
    clocks = text_days.clocks(said)
    moments = text_days.moments(said)
    rhythm, explicit = _rhythm(said)
    if rhythm and not explicit and len(text_days.apart(moments)) > 1:
        rhythm = None  # "every morning and every evening" is twice a day
    return TextReading(
        times=rhythm[0] if rhythm else None,
        period=rhythm[1] if rhythm else None,
        explicit=rhythm is not None and explicit,
        as_needed=_AS_NEEDED.search(said) is not None,
        duration=duration,
        moments=moments,
        clocks=clocks,
        weekdays=text_days.weekdays(said),
        amounts=text_amounts.amounts(said),
        starts=starts,
        ends=ends,
        stepped=stepped,
        variable=_VARIABLE.search(said) is not None,
        single=_SINGLE.search(said) is not None,
        by_staff=_NOT_AT_HOME.search(said) is not None,
    )


def _duration(said: str) -> tuple[Period | None, str]:
    """ "for 7 days", "x 2 weeks", "for up to 12 wk", "for a week", and the text without it."""
    found = re.search(
        r"\b(?:for|x)\s*(?:(?:a )?max(?:imum)? of |no more than |up to |a total of |another |the next |the first )?"
        rf"{RANGE}[ -]*{_TIME_UNIT}",
        said,
    )
    if not found:
        found = re.search(rf"(?<![\w-]){RANGE}[ -](?P<unit>day|week|month)s?[ -](?:course|supply of treatment|treatment)\b", said)
    if not found or unit_of(found["unit"]) == "min":
        return None, said
    low = number_of(found["low"])
    rest = said[: found.start()] + " " + said[found.end() :]
    return (low, number_of(found["high"]) if found["high"] else low, unit_of(found["unit"])), rest


def _rhythm(said: str) -> tuple[Rhythm | None, bool]:
    """How often, and whether that was said as such."""
    for reader in (_every, _times_a, _abbreviated):
        found = reader(said)
        if found:
            return found, True
    return _by_the_way(said), False


def _once_in(number: int, unit: str) -> Rhythm:
    return (1, 1), (Decimal(number), Decimal(number), unit)


def _every(said: str) -> Rhythm | None:
    """ "every 6-8 hours", "q6h", "every other day", "every 2 weeks", "hourly"."""
    if re.search(r"\b(?:every|each) (?:other|second|alternate) day\b|\balternate days\b|\bqod\b|\bevery 2nd day\b", said):
        return _once_in(2, "d")
    if re.search(r"\bevery (?:third|3rd) day\b", said):
        return _once_in(3, "d")
    if re.search(r"\b(?:every|each) (?:other|second|alternate) week\b|\bfortnightly\b|\bbiweekly\b", said):
        return _once_in(2, "wk")
    if re.search(r"\bhourly\b|\bevery hour\b", said) and not re.search(rf"{NUMBER}[ -]hourly", said):
        return _once_in(1, "h")
    found = (
        re.search(rf"\bevery\s+{RANGE}\s*-?{_TIME_UNIT}", said)
        or re.search(r"\bq\.?\s*(?P<low>\d+)(?:\s*-\s*(?P<high>\d+))?\s*(?P<unit>h|hrs?|hours?|d|days?|wk|weeks?|min)\b", said)
        or re.search(rf"\b{RANGE}[ -](?P<unit>hour)ly\b", said)
    )
    if not found:
        return None
    low = number_of(found["low"])
    return (1, 1), (low, number_of(found["high"]) if found["high"] else low, unit_of(found["unit"]))


def _times_a(said: str) -> Rhythm | None:
    """ "three times a day", "one time daily", "twice weekly", "once a week", "3x/day"."""
    found = re.search(
        rf"\b(?:{RANGE}\s*(?:times?|x)|(?P<word>once|twice|thrice))\s*(?:a|per|each|every|in a|/)?\s*"
        r"(?P<per>days?|daily|weekly|week|wk|monthly|month|night|nightly|morning|evening)\b",
        said,
    )
    if not found:
        return None
    low = number_of(found["word"] or found["low"])
    high = number_of(found["high"]) if found["high"] else low
    per = {"w": "wk", "m": "mo"}.get(found["per"][0], "d") if found["per"] != "morning" else "d"
    return (int(low), int(high)), (Decimal(1), Decimal(1), per)


def _abbreviated(said: str) -> Rhythm | None:
    found = re.findall(r"\b(" + "|".join(_ABBREVIATIONS) + r")\b", re.sub(r"(?<=\b[a-z])\.", "", said))
    if re.search(r"\b(?:eye|drops?|ophthalmic)\b", said):
        found = [word for word in found if word != "od"]  # "od" is also the right eye
    if not found:
        return None
    times = _ABBREVIATIONS[found[0]]
    return (times, times), (Decimal(1), Decimal(1), "d")


def _by_the_way(said: str) -> Rhythm | None:
    if re.search(r"\bweekly\b|\b(?:a|per|each|every) week\b", said):
        return _once_in(1, "wk")
    if re.search(r"\bmonthly\b|\b(?:a|per|each|every) month\b", said):
        return _once_in(1, "mo")
    if re.search(r"\bdaily\b|\b(?:a|per|each|every) (?:day|morning|evening|night|afternoon)\b|\bnightly\b|/ ?d(?:ay)?\b", said):
        return _once_in(1, "d")
    return None
