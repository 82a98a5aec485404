"""Weeks around the next change of the clocks, on the whole system: the wall time stays, once a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.simulation.clinic import Clinic, Patient


@pytest.mark.slow
@pytest.mark.parametrize(("zone", "wall"), [("America/New_York", "08:00"), ("Europe/Berlin", "02:30")])
def test_the_planned_minute_once_a_day_over_a_clock_change(clinic_alone: Clinic, zone: str, wall: str) -> None:
    """02:30 does not exist on the day that clocks go forward: there it goes at 03:30, as far past the gap as it lay in it."""
    patient = clinic_alone.patient(zone)
    change = next_clock_change(patient.zone, clinic_alone.now())
    clinic_alone.advance(change - timedelta(days=3))
    patient.start(patient.plan(slots={"morning": wall}))
    clinic_alone.advance(change + timedelta(days=2))
    sent = [text.at.astimezone(patient.zone) for text in patient.texts()]
    days = [at.date() for at in sent]
    assert len(days) == len(set(days)) >= 4
    for at in sent:
        in_gap = skipped(patient, at, wall)
        assert at.strftime("%H:%M") == ("03:30" if in_gap else wall)


def skipped(patient: Patient, at: datetime, wall: str) -> bool:
    """Whether that wall time does not exist on that day: going to UTC and back changes it."""
    hour, minute = map(int, wall.split(":"))
    local = datetime.combine(at.date(), datetime.min.time().replace(hour=hour, minute=minute), patient.zone)
    return local.astimezone(UTC).astimezone(patient.zone).time() != local.time()


def next_clock_change(zone: ZoneInfo, now: datetime) -> datetime:
    """The first hour after `now` at whose end the zone's offset differs."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour.astimezone(zone).utcoffset() == (hour + timedelta(hours=1)).astimezone(zone).utcoffset():
        hour += timedelta(hours=1)
    return hour
