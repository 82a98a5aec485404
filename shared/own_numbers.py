"""A clinic's own numbers in place of the house's (shared/defaults.toml): checked once as they are put, typed as they are read.

They are stored as the clinic wrote them (JSON). Each service says which of its section a clinic may set, and where they count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from shared.defaults import default, duration
from shared.errors import DomainError

_WALL = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_MOST = 24
_LONGEST = timedelta(days=31)


def own(section: str, name: str, numbers: Mapping[str, Any]) -> Any:
    """The clinic's own value of a number, else the house's: a duration as timedelta, all else as it stands."""
    house = default(section, name)
    if name not in numbers:
        return house
    return duration(numbers[name]) if isinstance(house, timedelta) else numbers[name]


def check(section: str, numbers: Mapping[str, Any], allowed: Collection[str], words: Mapping[str, Collection[str]]) -> None:
    """Refuses (DomainError 422, naming `numbers.<name>`) what no clinic may set and what is not of the house number's shape.
    `words`: what a number that is a word may be."""
    for name, value in numbers.items():
        if name not in allowed:
            raise DomainError("numbers", "There is no such number of a clinic's own.", accepted=", ".join(allowed))
        accepted, fits = _shape(value, default(section, name), words.get(name))
        if not fits:
            raise DomainError(f"numbers.{name}", "This is not a value that can be.", accepted=accepted)


def _shape(value: object, house: object, words: Collection[str] | None) -> tuple[str, bool]:
    """What is accepted in the house number's place, and whether this is."""
    if words is not None:
        return ", ".join(words), value in words
    if isinstance(house, int):
        return f"a whole number from 1 to {_MOST}", isinstance(value, int) and value is not True and 1 <= value <= _MOST
    if isinstance(house, timedelta):
        return "an ISO 8601 duration such as PT60M, at most P31D", isinstance(value, str) and _lasts(value)
    return "a local wall time such as 09:00", isinstance(value, str) and _WALL.fullmatch(value) is not None


def _lasts(value: str) -> bool:
    try:
        return timedelta(0) < duration(value) <= _LONGEST
    except (ValueError, OverflowError):
        return False
