"""Reads what a dosage's own *text* says, by itself, so that it can be held against the coded timing.

HL7's examples hold orders whose text and coding disagree, and a real record is no better. The reader knows the common
English wordings of how often, how much, how long, when in the day and "as needed". What it does not know it leaves out: an
unread text contradicts nothing. It never fills a gap in the coding; it only witnesses against it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

#: Words for small numbers, as prescribers write them.
NUMBERS = {
    "a": 1, "an": 1, "one": 1, "once": 1, "two": 2, "twice": 2, "three": 3, "thrice": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "fourteen": 14, "half": Decimal("0.5"),
}  # fmt: skip
_NUMBER = r"(?:\d+(?:[.,]\d+)?|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + r")"
_RANGE = rf"(?P<low>{_NUMBER})(?:\s*(?:-|–|to|or)\s*(?P<high>{_NUMBER}))?"
_UNIT_OF_TIME = {"hour": "h", "hr": "h", "h": "h", "day": "d", "d": "d", "week": "wk", "wk": "wk", "month": "mo", "mo": "mo"}
_TIME_UNIT = r"(?P<unit>hours?|hrs?|h|days?|d|weeks?|wks?|months?)\b"

#: Abbreviations of the Latin and of FHIR's TimingAbbreviation value set, as (times, per).
_ABBREVIATIONS = {
    "qd": (1, "d"), "qam": (1, "d"), "qpm": (1, "d"), "qhs": (1, "d"), "od": (1, "d"), "bid": (2, "d"), "tid": (3, "d"),
    "qid": (4, "d"),
}  # fmt: skip

_MOMENTS: tuple[tuple[str, str], ...] = (
    (r"before breakfast|(?:in the|every|each) morning|\bqam\b|upon waking|on waking|mornings?\b", "morning"),
    (r"(?:at|before|with|after|around)\s+(?:lunch|noon|midday)", "noon"),
    (r"(?:in the|every) afternoon", "afternoon"),
    (r"(?:before|with|after|at)\s+(?:dinner|supper)|(?:in the|every|each) evening|\bqpm\b|evenings?\b", "evening"),
    (r"\bqhs\b|(?:at|before|nightly at)\s+(?:bedtime|bed|night)|bedtime|nightly|every night", "bedtime"),
)
_CLOCK = re.compile(r"\bat\s+(\d{1,2})(?::(\d{2}))?\s*(am|pm|a\.m\.|p\.m\.)|\bat\s+([01]?\d|2[0-3]):([0-5]\d)\b")
_AMOUNT = re.compile(
    rf"{_RANGE}\s*(?P<unit>tablets?|tabs?|capsules?|caps?|pills?|units?|puffs?|drops?|patch(?:es)?|mg|mcg|ug|µg|g|ml|iu)\b"
)
_AMOUNT_UNIT = {"tab": "tablet", "cap": "capsule", "pill": "tablet", "ug": "mcg", "µg": "mcg", "patche": "patch", "iu": "unit"}
_MAXIMUM = re.compile(r"(?:do not exceed|not to exceed|no more than|maximum(?: of)?|max\.?)\b.*?(?:\.|;|$)(?!\d)")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATES = re.compile(rf"(?:from|starting|start(?:ing)? on|until|through)?\s*{_MONTH}\s+\d{{1,2}}(?:\s*(?:-|to)\s*(?:{_MONTH}\s*)?\d{{1,2}})?,?(?:\s+\d{{4}})?")


@dataclass(frozen=True)
class TextReading:
    """What the text states; None or empty where it states nothing. Periods are (number, FHIR unit of time)."""

    #: How many times in one `period`; a range where low differs from high.
    times: tuple[int, int] | None = None
    period: tuple[Decimal, Decimal, str] | None = None
    as_needed: bool = False
    #: "for 7 days" as (7, "d").
    duration: tuple[Decimal, str] | None = None
    #: Moments of the day: morning, noon, afternoon, evening, bedtime, or "09:00".
    moments: tuple[str, ...] = ()
    #: (low, high, unit) of one intake.
    amount: tuple[Decimal, Decimal, str] | None = None
    #: "then ...": the text has steps of its own.
    stepped: bool = False
    source: str = field(default="", compare=False, repr=False)

    @property
    def silent(self) -> bool:
        return self == TextReading()


def number_of(word: str) -> Decimal:
    """The number that a word or figure stands for."""
    return Decimal(NUMBERS.get(word, 0)) or Decimal(word.replace(",", "."))


def read_text(text: str) -> TextReading:
    """What an English dosage text states. Never raises: unknown wording is left out."""
    plain = re.sub(r"\s+", " ", text.lower().replace("‑", "-")).strip()
    said = _DATES.sub(" ", _MAXIMUM.sub(" ", plain))
    duration, said_without_duration = _duration(said)
    times, period = _frequency(said_without_duration)
    return TextReading(
        times=times,
        period=period,
        as_needed=re.search(r"\bas needed\b|\bprn\b|\bp\.r\.n\b|\bwhen (?:needed|required|necessary)\b|\bif needed\b", said) is not None,
        duration=duration,
        moments=_moments(said),
        amount=_amount(said),
        stepped=re.search(r"\bthen\b|\bfollowed by\b|\bafter that\b|\bthereafter\b", said) is not None,
        source=plain,
    )


def _duration(said: str) -> tuple[tuple[Decimal, str] | None, str]:
    found = re.search(rf"\b(?:for|x)\s*(?P<low>{_NUMBER})(?:\s*(?:-|to)\s*{_NUMBER})?[ -]*{_TIME_UNIT}", said)
    if not found:
        return None, said
    return (number_of(found["low"]), _unit(found["unit"])), said[: found.start()] + " " + said[found.end() :]


def _unit(word: str) -> str:
    return _UNIT_OF_TIME[word.rstrip("s") if word not in ("hrs",) else "hr"]


Times = tuple[int, int]
Period = tuple[Decimal, Decimal, str]


def _frequency(said: str) -> tuple[Times | None, Period | None]:
    for reader in (_every, _times_a, _abbreviated, _plain_daily):
        found = reader(said)
        if found:
            return found
    return None, None


def _every(said: str) -> tuple[Times, Period] | None:
    """"every 6-8 hours", "q6h", "every other day", "every 2 weeks"."""
    if re.search(r"\b(?:every|each) (?:other|second|alternate) day\b|\bon alternate days\b|\bqod\b", said):
        return (1, 1), (Decimal(2), Decimal(2), "d")
    found = re.search(rf"\bevery\s+{_RANGE}\s*-?{_TIME_UNIT}", said) or re.search(
        r"\bq\s*(?P<low>\d+)(?:\s*-\s*(?P<high>\d+))?\s*(?P<unit>h|hrs?|hours?|d|days?|wk|weeks?)\b", said
    )
    if not found:
        return None
    low, high = number_of(found["low"]), number_of(found["high"] or found["low"])
    return (1, 1), (low, high, _unit(found["unit"]))


def _times_a(said: str) -> tuple[Times, Period] | None:
    """"three times a day", "one time daily", "twice weekly", "once a week"."""
    found = re.search(
        rf"\b(?:{_RANGE}\s*(?:times?|x)|(?P<word>once|twice|thrice))\s*(?:a|per|each|every|/)?\s*"
        r"(?P<per>day|daily|week|weekly|month|monthly)\b",
        said,
    )
    if not found:
        return None
    low = found["word"] or found["low"]
    high = found["word"] or found["high"] or low
    per = {"d": "d", "w": "wk", "m": "mo"}[found["per"][0]]
    return (int(number_of(low)), int(number_of(high))), (Decimal(1), Decimal(1), per)


def _abbreviated(said: str) -> tuple[Times, Period] | None:
    found = re.search(r"\b(" + "|".join(_ABBREVIATIONS) + r")\b", said.replace(".", ""))
    if not found:
        return None
    times, per = _ABBREVIATIONS[found[1]]
    return (times, times), (Decimal(1), Decimal(1), per)


def _plain_daily(said: str) -> tuple[Times, Period] | None:
    one = Decimal(1)
    if re.search(r"\bweekly\b|\bonce a week\b|\bevery week\b|\ba week\b", said):
        return (1, 1), (one, one, "wk")
    if re.search(r"\bmonthly\b|\bevery month\b", said):
        return (1, 1), (one, one, "mo")
    if re.search(r"\bdaily\b|\b(?:a|per|each|every) (?:day|morning|evening|night)\b|\bnightly\b", said):
        return (1, 1), (one, one, "d")
    return None


def _moments(said: str) -> tuple[str, ...]:
    found = [name for pattern, name in _MOMENTS if re.search(pattern, said)]
    for match in _CLOCK.finditer(said):
        hour, minute, half, hour24, minute24 = match.groups()
        if half:
            clock = int(hour) % 12 + (12 if half.startswith("p") else 0), int(minute or 0)
        else:
            clock = int(hour24), int(minute24)
        found.append(f"{clock[0]:02d}:{clock[1]:02d}")
    return tuple(found)


def _amount(said: str) -> tuple[Decimal, Decimal, str] | None:
    found = _AMOUNT.search(said)
    if not found:
        return None
    low, high = number_of(found["low"]), number_of(found["high"] or found["low"])
    unit = found["unit"].rstrip("s") if found["unit"] not in ("µg",) else "mcg"
    return low, high, _AMOUNT_UNIT.get(unit, unit)
