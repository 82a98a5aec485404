"""A clinic's own numbers: of the house number's shape, or refused with what would be taken; read back typed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.errors import DomainError
from shared.own_numbers import check, own

ALLOWED = ("texts_a_day", "quiet_from", "dose_late_after")
SEVERITY = {"severity_missed_doses": ("low", "high")}


@pytest.mark.parametrize(
    ("name", "value"),
    [("texts_a_day", 1), ("texts_a_day", 24), ("quiet_from", "21:30"), ("dose_late_after", "PT30M"), ("dose_late_after", "P31D")],
)
def test_what_fits_is_taken(name: str, value: object) -> None:
    check("notifier", {name: value}, ALLOWED, {})


@pytest.mark.parametrize(
    ("name", "value", "element"),
    [
        ("texts_a_day", 0, "numbers.texts_a_day"),
        ("texts_a_day", 25, "numbers.texts_a_day"),
        ("texts_a_day", True, "numbers.texts_a_day"),
        ("texts_a_day", "6", "numbers.texts_a_day"),
        ("quiet_from", "24:00", "numbers.quiet_from"),
        ("quiet_from", "09:00+01:00", "numbers.quiet_from"),
        ("quiet_from", 9, "numbers.quiet_from"),
        ("dose_late_after", "an hour", "numbers.dose_late_after"),
        ("dose_late_after", "PT0S", "numbers.dose_late_after"),
        ("dose_late_after", "P32D", "numbers.dose_late_after"),
        ("dose_late_after", "P" + "9" * 30 + "D", "numbers.dose_late_after"),
        ("dose_late_after", 60, "numbers.dose_late_after"),
        ("http_total", "PT1S", "numbers"),
        ("unheard_of", 1, "numbers"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_element(name: str, value: object, element: str) -> None:
    with pytest.raises(DomainError) as refused:
        check("notifier", {name: value}, ALLOWED, {})
    assert refused.value.element == element


@pytest.mark.parametrize(("value", "fits"), [("high", True), ("crisis", False), (1, False)])
def test_a_word_is_one_of_its_words(value: object, fits: bool) -> None:
    try:
        check("adherence", {"severity_missed_doses": value}, SEVERITY, SEVERITY)
    except DomainError:
        assert not fits
    else:
        assert fits


def test_read_back_in_the_house_numbers_type() -> None:
    numbers = {"dose_late_after": "PT30M", "texts_a_day": 3}
    assert own("notifier", "dose_late_after", numbers) == timedelta(minutes=30)
    assert own("notifier", "texts_a_day", numbers) == 3
    assert own("notifier", "conversation_runs_for", numbers) == timedelta(minutes=15)
