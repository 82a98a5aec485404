"""Clinical rules and instruments as data, read once. Every entry names its source; one without does not load."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from services.adherence.domain.checkins import Instrument
from services.adherence.domain.rules import GapRule, PatternRule
from shared.defaults import duration

_HERE = Path(__file__).parent


def _rows(file: str, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads((_HERE / file).read_text("utf-8"))[table]
    for row in rows:
        if not str(row.get("source", "")).strip():
            raise ValueError(f"{file}: [[{table}]] {row.get('id')} has no source")
    return rows


@cache
def gap_rules() -> dict[str, GapRule]:
    """Rule-set id -> rule. The scheduler's data maps medicine codes to these ids; no drug is named here or on the wire."""
    return {
        row["id"]: GapRule(row["id"], duration(row["within_below"]), duration(row["beyond_above"]), row["source"])
        for row in _rows("rules.toml", "gap")
    }


@cache
def pattern_rules() -> dict[str, PatternRule]:
    return {
        row["id"]: PatternRule(row["id"], row["in_a_row"], duration(row["spanning"]), row["source"])
        for row in _rows("rules.toml", "pattern")
    }


@cache
def instruments() -> dict[str, Instrument]:
    return {
        row["id"]: Instrument(row["id"], tuple(row["items"]), row["lowest"], row["highest"], row["source"])
        for row in _rows("instruments.toml", "instrument")
    }


def instrument_of(instrument: str, first_item: str) -> Instrument:
    """The instrument, or for one that is not in the data a single question whose score is taken as it comes."""
    unknown = Instrument(instrument, (first_item,), 0, 1_000, "not in instruments.toml: the notifier's template sets the range")
    return instruments().get(instrument, unknown)


#: The rule for the medicines that no rule of their own watches.
DEFAULT_PATTERN = "missed-doses"
