"""Local wall time to instants and back: quiet hours, the day that a cap counts, safe over daylight saving (DESIGN.md rule 8).

A wall time in a spring gap happens once, as far past the gap as it lay in it; in a fold, the first of the two. Both are what
zoneinfo does with fold=0.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone. Raises ZoneInfoNotFoundError (a KeyError) for a name there is not, ValueError for what is no name."""
    return ZoneInfo(name)


def is_zone(name: str | None) -> bool:
    """Whether texts can be placed by this zone."""
    if not name:
        return False
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def instant_of(day: date, wall: str, zone: str) -> datetime:
    """The UTC instant of local "HH:MM" on a local date."""
    return datetime.combine(day, time.fromisoformat(wall), tzinfo=zone_of(zone)).astimezone(UTC)


def is_quiet(now: datetime, zone: str, quiet_from: str, quiet_until: str) -> bool:
    """Whether routine texts must wait at this instant: from `quiet_from` (included) until `quiet_until` (excluded), local.
    Equal times mean that there are no quiet hours."""
    here = now.astimezone(zone_of(zone)).time().replace(tzinfo=None)
    start, end = time.fromisoformat(quiet_from), time.fromisoformat(quiet_until)
    if start <= end:
        return start <= here < end
    return here >= start or here < end


def window_opens(now: datetime, zone: str, quiet_from: str, quiet_until: str) -> datetime:
    """The first instant from `now` on (UTC) at which routine texts may leave."""
    if not is_quiet(now, zone, quiet_from, quiet_until):
        return now
    day = now.astimezone(zone_of(zone)).date()
    # A fold can put the end of quiet hours behind `now` on today's date; then it is tomorrow's.
    opens = (instant_of(day + ahead * _DAY, quiet_until, zone) for ahead in range(3))
    return next(at for at in opens if at > now and not is_quiet(at, zone, quiet_from, quiet_until))


def day_bounds(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """The local calendar day that `now` lies in, as two UTC instants [start, end): 23, 24 or 25 hours long."""
    day = now.astimezone(zone_of(zone)).date()
    return instant_of(day, "00:00", zone), instant_of(day + _DAY, "00:00", zone)


def cap_resets(now: datetime, zone: str, quiet_from: str, quiet_until: str) -> datetime:
    """When a text over today's cap may go: the first open moment of the next local day."""
    return window_opens(day_bounds(now, zone)[1], zone, quiet_from, quiet_until)
