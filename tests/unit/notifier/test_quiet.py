"""Quiet hours and local days, on both sides of daylight saving. New York: gap 2027-03-14 02:00, fold 2026-11-01 02:00."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.quiet import cap_resets, day_bounds, instant_of, is_quiet, is_zone, window_opens

NY = "America/New_York"
ZONES = st.sampled_from([NY, "America/Los_Angeles", "America/Phoenix", "Australia/Lord_Howe", "Europe/Berlin", "Asia/Kathmandu"])
YEAR_START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 2 * 366 * 86_400).map(lambda seconds: YEAR_START + timedelta(seconds=seconds))
WALLS = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_bounds_are_included_and_excluded() -> None:
    assert is_quiet(at("2026-11-23T20:00:00-05:00"), NY, "20:00", "09:00")
    assert not is_quiet(at("2026-11-23T19:59:59-05:00"), NY, "20:00", "09:00")
    assert is_quiet(at("2026-11-23T08:59:59-05:00"), NY, "20:00", "09:00")
    assert not is_quiet(at("2026-11-23T09:00:00-05:00"), NY, "20:00", "09:00")


def test_equal_times_mean_no_quiet_hours() -> None:
    assert not is_quiet(at("2026-11-23T03:00:00-05:00"), NY, "09:00", "09:00")


def test_patients_of_one_clinic_in_two_zones_open_at_their_own_nine() -> None:
    night = at("2026-11-23T05:00:00+00:00")
    assert window_opens(night, "America/Denver", "20:00", "09:00") == at("2026-11-23T16:00:00+00:00")
    assert window_opens(night, "America/Chicago", "20:00", "09:00") == at("2026-11-23T15:00:00+00:00")


def test_gap_goes_as_far_past_it_as_it_lay_in_it() -> None:
    assert instant_of(date(2027, 3, 14), "02:30", NY) == at("2027-03-14T03:30:00-04:00")
    assert window_opens(at("2027-03-14T01:00:00-05:00"), NY, "20:00", "02:30") == at("2027-03-14T03:30:00-04:00")


def test_fold_goes_at_the_first() -> None:
    assert instant_of(date(2026, 11, 1), "01:30", NY) == at("2026-11-01T05:30:00+00:00")


def test_day_is_23_and_25_hours_long() -> None:
    for day, hours in (("2027-03-14", 23), ("2026-11-01", 25), ("2026-11-23", 24)):
        start, end = day_bounds(at(f"{day}T12:00:00-05:00"), NY)
        assert end - start == timedelta(hours=hours)


def test_cap_resets_the_next_morning() -> None:
    assert cap_resets(at("2026-11-23T12:00:00-05:00"), NY, "20:00", "09:00") == at("2026-11-24T09:00:00-05:00")


@given(INSTANTS, ZONES, WALLS, WALLS)
def test_the_window_opens_open_and_not_before_now(now: datetime, zone: str, start: Any, end: str) -> None:
    opens = window_opens(now, zone, start, end)
    assert opens >= now
    assert not is_quiet(opens, zone, start, end)
    assert opens - now <= timedelta(hours=49)


@given(INSTANTS, ZONES)
def test_every_instant_lies_in_its_day(now: datetime, zone: str) -> None:
    start, end = day_bounds(now, zone)
    assert start <= now < end


def test_zone_names() -> None:
    assert is_zone(NY)
    assert not is_zone("America/Nowhere")
    assert not is_zone("../etc/passwd")
    assert not is_zone("")
    assert not is_zone(None)
