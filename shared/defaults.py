"""Reads `defaults.toml`: every number of the house, each with its source. A number without a source does not load."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("defaults.toml")
_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


@dataclass(frozen=True)
class Default:
    value: Any
    source: str


def duration(text: str) -> timedelta:
    """ISO 8601 weeks, days, hours, minutes, seconds ("PT30M", "P1DT12H"). Months and years have no fixed length: ValueError."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("an ISO 8601 duration such as PT30M or P1D is needed")
    return timedelta(**{unit: float(amount) for unit, amount in found.groupdict().items() if amount is not None})


def default(section: str, name: str) -> Any:
    """The value of `name` in `[section]`; KeyError where there is none: a number is never made up on the way."""
    return _all()[section][name].value


def source(section: str, name: str) -> str:
    """Where the number comes from."""
    return _all()[section][name].source


def sections() -> Mapping[str, Mapping[str, Default]]:
    """All defaults, for documentation, the clinic's settings page and tests."""
    return _all()


@cache
def _all() -> dict[str, dict[str, Default]]:
    raw = tomllib.loads(_FILE.read_text("utf-8"))
    return {section: {name: _entry(section, name, entry) for name, entry in rows.items()} for section, rows in raw.items()}


def _entry(section: str, name: str, entry: object) -> Default:
    if not isinstance(entry, dict) or set(entry) != {"value", "source"} or not str(entry["source"]).strip():
        raise ValueError(f"defaults.toml [{section}] {name}: a value and its source are needed, and nothing else")
    return Default(_typed(entry["value"]), entry["source"])


def _typed(value: object) -> object:
    if isinstance(value, str) and value.startswith("P") and _DURATION.fullmatch(value):
        return duration(value)
    return tuple(_typed(item) for item in value) if isinstance(value, list) else value
