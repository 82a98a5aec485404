"""The numbers and kinds an alert runs by, as values: the edge fills them from the defaults file and the clinic's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Severity = Literal["low", "high", "crisis"]


@dataclass(frozen=True)
class AlertPolicy:
    """How long each severity waits. Waits of low alerts run only in the clinic's hours: outside them their texts do not go."""

    severities: Mapping[str, Severity]
    zone: str
    low_from: time
    low_until: time
    #: No step of a crisis waits longer than this.
    crisis_wait: timedelta
    #: What lies between two rounds of the chain, by round; the last one repeats. Low alerts have no further rounds.
    pauses: Mapping[str, tuple[timedelta, ...]]

    def severity(self, kind: str) -> Severity:
        return self.severities[kind]

    def pause(self, severity: str, round_: int) -> timedelta:
        """How long ops and the on-call have before round `round_` (from 1) begins."""
        steps = self.pauses[severity]
        return steps[min(round_, len(steps)) - 1]

    def deadline(self, severity: Severity, now: datetime, wait: timedelta) -> datetime:
        """When it goes to the next person unless acknowledged (UTC)."""
        if severity == "crisis":
            return now + min(wait, self.crisis_wait)
        if severity == "high":
            return now + wait
        return within_hours(now, wait, ZoneInfo(self.zone), self.low_from, self.low_until)


def within_hours(now: datetime, wait: timedelta, zone: ZoneInfo, opens: time, closes: time) -> datetime:
    """`now` plus `wait` counted only between `opens` and `closes` local time, every day of the week.

    20 minutes after 19:50 with hours until 20:00 is 09:10 of the next day. Both times lie on one day (opens < closes).
    """
    at, left = now, wait
    while True:
        day = at.astimezone(zone).date()
        start = datetime.combine(day, opens, zone).astimezone(now.tzinfo)
        end = datetime.combine(day, closes, zone).astimezone(now.tzinfo)
        at = max(at, start)
        if at < end and at + left <= end:
            return at + left
        left -= max(end - at, timedelta(0))
        at = datetime.combine(day + timedelta(days=1), opens, zone).astimezone(now.tzinfo)
