"""The forty zones that the product's times are compared in, and when their clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from tests.unit.scheduler import oracle

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)

#: One zone of every set of clock changes that the pinned data know for 2026-2030 (`test_no_clock_on_earth...` holds it to that).
MOVING = (
    "Africa/Cairo",  # at midnight, on a Friday; back into the day before
    "Africa/Casablanca",  # around Ramadan, and then no more
    "America/Adak",
    "America/Anchorage",
    "America/Chicago",
    "America/Denver",
    "America/Edmonton",  # once more, then never again
    "America/Halifax",
    "America/Havana",  # midnight does not exist; midnight comes twice
    "America/Los_Angeles",
    "America/Miquelon",
    "America/New_York",
    "America/Nuuk",  # from 23:00 to the next day's 00:00
    "America/Santiago",  # midnight does not exist
    "America/St_Johns",  # half an hour off
    "America/Vancouver",
    "America/Winnipeg",
    "Antarctica/Troll",  # two hours at once
    "Asia/Beirut",  # midnight does not exist; back into the day before
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Atlantic/Azores",  # midnight does not exist; midnight comes twice
    "Australia/Adelaide",
    "Australia/Lord_Howe",  # by half an hour
    "Australia/Sydney",
    "Europe/Athens",
    "Europe/Berlin",
    "Europe/Dublin",  # its winter is the exception: negative summer time
    "Pacific/Auckland",
    "Pacific/Chatham",  # three quarters of an hour off
    "Pacific/Easter",
    "Pacific/Norfolk",
)
#: Clocks that stand still, at the ends of the world and at odd offsets.
STILL = (
    "America/Phoenix",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Eucla",
    "Pacific/Kiritimati",
    "Pacific/Marquesas",
    "Pacific/Pago_Pago",
)
ZONES = tuple(sorted(MOVING + STILL))


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    return tuple(oracle.changes(zone, FIRST, LAST))
