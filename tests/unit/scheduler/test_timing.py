"""Wall time to instant against a naive oracle that walks the minutes of a day and shares no code with the product."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.domain import timing

#: Both hemispheres, half-hour changes, midnight changes, the wide east and west, one without any change.
ZONES = (
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "America/Santiago",
    "Europe/Berlin",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)


#: Zones whose clocks stand still in that year (Morocco's since this edition of the data).
STILL = ("Asia/Kolkata", "America/Sao_Paulo", "Pacific/Kiritimati", "Africa/Casablanca")


@pytest.fixture(autouse=True)
def pinned() -> Iterator[None]:
    """The oracle reads the same edition of the data: a machine's own may be older (Morocco, in the very first run of this)."""
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    ZoneInfo.clear_cache()


def days_of_change(zone: str, year: int) -> Iterator[date]:
    """Every local date in whose course the offset changes, and its neighbours."""
    tz = ZoneInfo(zone)
    moment, found = datetime(year, 1, 1, tzinfo=UTC), set[date]()
    while moment.year == year:
        if moment.astimezone(tz).utcoffset() != (moment + timedelta(hours=1)).astimezone(tz).utcoffset():
            found |= {moment.astimezone(tz).date() + timedelta(days=n) for n in (-1, 0, 1)}
        moment += timedelta(hours=1)
    return iter(sorted(found))


def walls_of(day: date, tz: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """(instant, wall time) for every minute that a clock on the wall could show from the evening before to the next noon."""
    first = datetime.combine(day, time(0), UTC) - timedelta(hours=30)
    instants = [first + timedelta(minutes=n) for n in range(80 * 60)]
    return [(instant, instant.astimezone(tz).replace(tzinfo=None)) for instant in instants]


def naive(wanted: datetime, walls: list[tuple[datetime, datetime]]) -> datetime:
    """The first minute at which the wall shows the wanted time. Where none does: as far past the jump as it lies in it."""
    shown = [instant for instant, wall in walls if wall == wanted]
    if shown:
        return shown[0]
    for (_, before), (instant, after) in pairwise(walls):
        if before < wanted < after and after - before > timedelta(minutes=1):
            return instant + (wanted - before) - timedelta(minutes=1)
    raise AssertionError("the oracle found neither the time nor a jump over it")


@pytest.mark.parametrize("zone", ZONES)
def test_every_half_hour_around_every_clock_change_is_where_a_walk_over_the_minutes_finds_it(zone: str) -> None:
    tz, compared = ZoneInfo(zone), 0
    for day in days_of_change(zone, 2027):
        walls = walls_of(day, tz)
        for half_hours in range(48):
            wanted = datetime.combine(day, time(half_hours // 2, 30 * (half_hours % 2)))
            assert timing.instant(day, wanted.time(), zone) == naive(wanted, walls), f"{zone} {wanted}"
            compared += 1
    assert compared or zone in STILL


def test_a_time_in_the_gap_goes_as_far_past_it_as_it_lay_in_it() -> None:
    assert timing.instant(date(2027, 3, 14), time(2, 30), "America/New_York") == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)


def test_a_time_in_the_fold_is_the_first_of_the_two() -> None:
    assert timing.instant(date(2026, 11, 1), time(1, 30), "America/New_York") == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_wall_time_that_comes_marked_as_the_second_of_a_fold_is_still_the_first() -> None:
    assert timing.instant(date(2026, 11, 1), time(1, 30, fold=1), "America/New_York").hour == 5


@pytest.mark.parametrize("name", ["", "Mars/Base", "../etc/passwd", "america/new_york", "Factory", "UTC+2", "/etc/localtime"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(timing.UnknownZone):
        timing.zone(name)


def test_zones_come_from_the_pinned_package_and_not_from_the_machine(tmp_path: Path) -> None:
    forged = tmp_path / "Europe" / "Berlin"
    forged.parent.mkdir()
    forged.write_bytes((resources.files("tzdata") / "zoneinfo" / "Asia" / "Tokyo").read_bytes())
    timing.zone.cache_clear()
    zoneinfo.reset_tzpath(to=(str(tmp_path),))
    assert timing.instant(date(2026, 12, 1), time(8), "Europe/Berlin").hour == 7
