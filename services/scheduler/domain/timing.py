"""Local wall time is intent; this is the only place where it becomes an instant (DESIGN.md rule 8).

Zones come from the pinned `tzdata` package alone, never from the machine's own files: two machines must agree on 02:30.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

MIDNIGHT = time(0, 0)


class UnknownZone(ValueError):
    """Not a zone of the pinned IANA data."""


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every IANA zone name of the pinned data."""
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(names) - {"Factory", "localtime"}


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name, from the pinned data. Raises UnknownZone."""
    if name not in zone_names():
        raise UnknownZone("unknown zone")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def instant(day: date, at: time, zone_name: str) -> datetime:
    """The UTC instant of a local wall time. In a spring gap as far past the gap as it lay in it (02:30 -> 03:30), in an
    autumn fold the first of the two: both are what `fold=0` says."""
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone(zone_name)).astimezone(UTC)


def local(moment: datetime, zone_name: str) -> datetime:
    """The same instant on the patient's wall clock."""
    return moment.astimezone(zone(zone_name))


def local_date(moment: datetime, zone_name: str) -> date:
    return local(moment, zone_name).date()


def day_start(day: date, zone_name: str) -> datetime:
    """The first instant of a local date (01:00 where midnight itself falls into a gap)."""
    return instant(day, MIDNIGHT, zone_name)


def day_end(day: date, zone_name: str) -> datetime:
    """The instant at which a local date is over."""
    return day_start(day + timedelta(days=1), zone_name)


def nothing_left(day: date, zone_name: str) -> datetime:
    """The instant from which no wall time of a local date is still to come: its end, or as long after it as a gap over that
    midnight pushes 23:59 (Greenland: 23:00 -> 00:00, so 23:30 of a Saturday comes on Sunday at 00:30)."""
    return max(day_end(day, zone_name), instant(day, time(23, 59), zone_name) + timedelta(minutes=1))


def open_date(moment: datetime, zone_name: str) -> date:
    """The earliest local date of which a wall time may still be to come: today, but for the hour after such a gap."""
    day = local_date(moment, zone_name)
    before = day - timedelta(days=1)
    return before if moment < nothing_left(before, zone_name) else day
