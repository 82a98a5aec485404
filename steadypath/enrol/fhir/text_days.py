"""Days and times of day in a dosage text: moments ("at bedtime"), the clock ("at 9am"), days of the week, dates."""

from __future__ import annotations

import re

#: Moments that cannot be told apart in one text: "in the morning before breakfast" is one moment.
GROUPS = {
    "morning": "morning", "breakfast": "morning", "lunch": "noon", "afternoon": "afternoon", "dinner": "evening",
    "evening": "evening", "night": "night", "bedtime": "night", "meals": "meals",
}  # fmt: skip
_BESIDE = r"(?:at|before|with|after|around|and|or|,|prior to|following)\s+(?:the\s+|your\s+)?"
_MOMENTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("breakfast", re.compile(rf"{_BESIDE}(?:breakfast|morning meal)")),
    (
        "morning",
        re.compile(
            r"\b(?:in the|every|each|this) morning|\bqam\b|\b(?:up)?on (?:waking|rising|arising)|\bmornings?\b(?! meal)|\bq ?am\b"
        ),
    ),
    ("lunch", re.compile(rf"{_BESIDE}(?:lunch|noon|midday)|\bat midday|\bnoon\b|\blunchtime\b")),
    ("afternoon", re.compile(r"\bafternoons?\b")),
    ("dinner", re.compile(rf"{_BESIDE}(?:dinner|supper|evening meal)|\b(?:dinner|supper)(?:time)?\b")),
    ("evening", re.compile(r"\bevenings?\b(?! meal)|\bqpm\b|\bq ?pm\b")),
    ("bedtime", re.compile(r"\bbedtime\b|\bqhs\b|\bat hs\b|\b(?:before|at|going to) (?:bed|sleep)\b|\bhour of sleep\b")),
    ("night", re.compile(r"\bat night\b|\bnightly\b|\b(?:every|each) night\b|\bnights?\b(?! ?time cough)")),
    ("meals", re.compile(r"\b(?:with|before|after|at|between) (?:each |every |all |the )?meals?\b|\b(?:ac|pc)\b|\bmealtimes?\b")),
)
_CLOCK = re.compile(
    r"\b(?:at|and|,|&|by|or)?\s*(?<![\d:.])(?:(?P<hour>1[0-2]|0?[1-9])(?::(?P<minute>[0-5]\d))?\s*(?P<half>am|pm|a\.m\.?|p\.m\.?)(?![a-z])"
    r"|(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)(?::00)?(?!\d|\s*[ap]\.?m))"
)
_DAYS = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}
_WEEKDAY = re.compile(r"\b(mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:days?)?\b(?! ?screen)")
_MONTH_ORDER = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_ORDER, 1)}
_MONTH_NAMES = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|"
    r"dec(?:ember)?"
)


def _date(name: str) -> str:
    """A month, a day and perhaps a year, as groups that begin with `name`."""
    month = rf"(?P<{name}month>{_MONTH_NAMES})\.?"
    return rf"{month}\s+(?P<{name}day>[0-3]?\d)(?:st|nd|rd|th)?(?:,?\s+(?P<{name}year>20\d\d))?\b(?!:)"


_FROM = re.compile(
    rf"\b(?:starting|start|starts|beginning|begin|from|as of)(?: on| from)?\s+{_date('a')}"
    r"(?:\s*-\s*(?P<last>[0-3]?\d)\b,?(?:\s+(?P<lastyear>20\d\d))?)?"
)
_UNTIL = re.compile(rf"\b(?:until|through|till|ending|ends|to)(?: on)?\s+{_date('b')}")
_STARTING = re.compile(
    r"\b(?:starting|start|beginning|begin|from)(?: on| this| next)*\s+(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
)

DayOfText = tuple[int, int, int | None]


def apart(moments: frozenset[str]) -> frozenset[str]:
    """The moments that are different times of day."""
    return frozenset(GROUPS[one] for one in moments)


def moments(said: str) -> frozenset[str]:
    """The moments of the day that the text names."""
    found = {name for name, pattern in _MOMENTS if pattern.search(said)}
    if "bedtime" in found:
        found.discard("night")
    return frozenset(found)


def clocks(said: str) -> tuple[str, ...]:
    """Times by the clock, as "HH:MM" in order."""
    found = set[str]()
    for one in _CLOCK.finditer(said):
        if one["half"]:
            hour = int(one["hour"]) % 12 + (12 if one["half"].startswith("p") else 0)
            found.add(f"{hour:02d}:{int(one['minute'] or 0):02d}")
        else:
            found.add(f"{int(one['hour24']):02d}:{one['minute24']}")
    return tuple(sorted(found))


def weekdays(said: str) -> frozenset[int]:
    """ISO days of the week that the text names. The day of the week on which something starts is none of them."""
    said = _STARTING.sub(" ", said)
    found = {_DAYS[one[1][:3]] for one in _WEEKDAY.finditer(said)}
    if re.search(r"\bm[-/, ]w[-/, ]f\b", said):
        found |= {1, 3, 5}
    if re.search(r"\bweekdays\b", said):
        found |= {1, 2, 3, 4, 5}
    if re.search(r"\bweekends\b", said):
        found |= {6, 7}
    return frozenset(found)


def dates(said: str) -> tuple[DayOfText | None, DayOfText | None, str]:
    """The first and the last day that the text names, and the text without them: "from jan 15-20, 2015"."""
    first, last = _FROM.search(said), _UNTIL.search(said)
    starts = _day(first, "a") if first else None
    ends = _day(last, "b") if last else None
    if first and first["last"] and starts:
        year = first["lastyear"] or first["ayear"]
        ends = (starts[0], int(first["last"]), int(year) if year else None)
        starts = (*starts[:2], ends[2])
    return starts, ends, _UNTIL.sub(" ", _FROM.sub(" ", said))


def _day(found: re.Match[str], name: str) -> DayOfText:
    year = found[f"{name}year"]
    return _MONTHS[found[f"{name}month"][:3]], int(found[f"{name}day"]), int(year) if year else None
