"""Days of the week, times of day and moments of the day of a FHIR Timing.repeat, strictly read."""

from __future__ import annotations

from datetime import time

from steadypath.enrol.fhir import node
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.outcome import Refusal

#: The moments that a routine can have a time for, and those that none has.
WHEN = frozenset((
    "MORN", "NOON", "AFT", "EVE", "NIGHT", "HS", "WAKE", "C", "CM", "CD", "CV",
    "AC", "ACM", "ACD", "ACV", "PC", "PCM", "PCD", "PCV",
))  # fmt: skip
_WHEN_OTHER = frozenset(("MORN.early", "MORN.late", "AFT.early", "AFT.late", "EVE.early", "EVE.late", "PHS"))
MEALS = {"C": ("CM", "CD", "CV"), "AC": ("ACM", "ACD", "ACV"), "PC": ("PCM", "PCD", "PCV")}
_WEEKDAYS = {"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}


def weekdays(repeat: Json, path: str) -> tuple[int, ...]:
    stated = node.texts(repeat, "dayOfWeek", path)
    if any(one not in _WEEKDAYS for one in stated) or len(set(stated)) != len(stated):
        raise Refusal(f"{path}.dayOfWeek", "These are not days of the week, each once.", "mon, tue, wed, thu, fri, sat, sun")
    return tuple(sorted(_WEEKDAYS[one] for one in stated))


def times(repeat: Json, path: str) -> tuple[time, ...]:
    found = set[time]()
    stated = node.texts(repeat, "timeOfDay", path)
    for number, one in enumerate(stated):
        try:
            at = time.fromisoformat(one)
        except ValueError:
            raise Refusal(f"{path}.timeOfDay[{number}]", "There is no such time of day.", "a time such as 08:00:00") from None
        if at.tzinfo is not None or at.second or at.microsecond:
            raise Refusal(
                f"{path}.timeOfDay[{number}]", "Times are kept to the minute, on the patient's wall.", "a time such as 08:00:00"
            )
        found.add(at)
    if len(found) != len(stated):
        raise Refusal(f"{path}.timeOfDay", "A time of day stands twice.", "each time once")
    return tuple(sorted(found))


def when(repeat: Json, path: str) -> tuple[str, ...]:
    stated = node.texts(repeat, "when", path)
    for number, one in enumerate(stated):
        if one in _WHEN_OTHER:
            raise Refusal(f"{path}.when[{number}]", "No routine says when that is.", "timeOfDay, or a plain moment such as MORN")
        if one not in WHEN:
            raise Refusal(f"{path}.when[{number}]", "This is no moment of the day in FHIR R4.", ", ".join(sorted(WHEN)))
    found = [each for one in stated for each in MEALS.get(one, (one,))]
    if len(set(found)) != len(found):
        raise Refusal(f"{path}.when", "A moment of the day stands twice.", "each moment once")
    return tuple(found)


def offset(repeat: Json, path: str) -> int:
    """Minutes from the moment; before it for AC codes. FHIR's tim-9: only with `when`, and not with a meal itself."""
    number = node.number_of(repeat, "offset", path)
    if number is None:
        return 0
    when = node.texts(repeat, "when", path)
    if number != number.to_integral_value() or not 0 <= number <= 720:
        raise Refusal(f"{path}.offset", "This offset cannot be.", "whole minutes from 0 to 720")
    if not when or any(one in ("C", "CM", "CD", "CV") for one in when):
        raise Refusal(f"{path}.offset", "An offset needs a moment to count from, other than a meal itself.", "an AC or PC code")
    return int(number)
