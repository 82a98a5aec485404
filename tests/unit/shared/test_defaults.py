"""Every number has a source; durations are durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared import defaults
from shared.defaults import default, duration, sections, source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT30M", timedelta(minutes=30)),
        ("P1DT12H", timedelta(hours=36)),
        ("P2W", timedelta(days=14)),
        ("PT1.5S", timedelta(seconds=1.5)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["P", "PT", "P1M", "P1Y", "30M", "PT30", "pt30m", "P1DT", "-PT1M", "PT1M\n"])
def test_what_has_no_fixed_length_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        duration(text)


def test_the_files_numbers_load_typed_and_sourced() -> None:
    assert default("shared", "clock_skew_limit") == timedelta(seconds=2)
    assert default("shared", "request_body_limit") == 1_048_576
    assert "rule 7" in source("shared", "clock_skew_limit")
    assert {"shared", "scheduler", "notifier", "adherence"} <= set(sections())


def test_a_number_is_never_made_up() -> None:
    with pytest.raises(KeyError):
        default("shared", "no_such_number")


@pytest.mark.parametrize("entry", [5, {"value": 5}, {"value": 5, "source": " "}, {"value": 5, "source": "x", "note": "y"}])
def test_a_number_without_a_source_does_not_load(entry: object) -> None:
    with pytest.raises(ValueError, match="source"):
        defaults._entry("shared", "x", entry)


def test_wall_times_stay_text_and_lists_are_frozen() -> None:
    assert defaults._typed("09:00") == "09:00"
    assert defaults._typed("Paroxetine") == "Paroxetine"
    assert defaults._typed(["PT1M", "PT2M"]) == (timedelta(minutes=1), timedelta(minutes=2))
