"""The judge must be able to say no: each kind of fault, and the zone arithmetic of the oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.compose.cohort import Cohort, Due, minutes_from, zone_at_noon
from tests.compose.judge import fates_of, judge, unaccounted

NOW = datetime(2026, 11, 23, 22, 17, 31, tzinfo=UTC)


@pytest.fixture
def cohort() -> Cohort:
    return Cohort("c", 3, minutes_from(NOW, timedelta(seconds=30), waves=2, apart=timedelta(minutes=2)))


def text(due: Due, late: float = 1.0, **more: Any) -> dict[str, Any]:
    at = (due.at + timedelta(seconds=late)).isoformat()
    return {
        "direction": "outbound-api",
        "number": due.number,
        "body": f"1:19 PM: {due.label}. Reply 1",
        "begun_machine": at,
    } | more


def test_each_once_is_well(cohort: Cohort) -> None:
    verdict = judge(cohort.dues, [text(due) for due in cohort.dues])
    assert (len(verdict.once), verdict.twice, verdict.early, verdict.missing, verdict.strays) == (6, [], [], [], [])
    assert verdict.slowest == 1.0


def test_twice_lost_early_and_stray_are_seen(cohort: Cohort) -> None:
    twice, lost, early, *rest = cohort.dues
    ledger = [text(twice), text(twice, 9), text(early, -1), *(text(due) for due in rest), text(rest[0], number="+12125550199")]
    verdict = judge(cohort.dues, ledger)
    assert (verdict.twice, verdict.missing, verdict.early, verdict.strays) == ([twice], [lost], [early], ["+12125550199"])
    assert verdict.once == rest


def test_what_a_phone_wrote_and_what_is_no_dose_counts_for_nothing(cohort: Cohort) -> None:
    due = cohort.dues[0]
    verdict = judge([due], [text(due, direction="inbound"), text(due, body="Reminders from your care team.")])
    assert verdict.missing == [due]


def test_a_missing_text_is_lost_unless_the_notifier_shows_doubt(cohort: Cohort) -> None:
    first, second = (due for due in cohort.dues if due.patient == "c-0")
    shown = [{"kind": "dose", "status": "unconfirmed", "not_before": first.at.isoformat()}]
    shown += [{"kind": "dose", "status": "queued", "not_before": second.at.isoformat()}]
    assert unaccounted([first, second], fates_of("c-0", shown)) == [second]
    assert unaccounted([first], {}) == [first]


@pytest.mark.parametrize("hour", range(24))
def test_it_is_early_afternoon_in_the_patients_zone(hour: int) -> None:
    now = NOW.replace(hour=hour)
    assert now.astimezone(ZoneInfo(zone_at_noon(now))).hour == 13


def test_waves_are_whole_minutes_ahead() -> None:
    waves = minutes_from(NOW, timedelta(seconds=60), waves=2, apart=timedelta(minutes=2))
    assert waves[0] == NOW.replace(minute=19, second=0)
    assert waves[1] - waves[0] == timedelta(minutes=2)
