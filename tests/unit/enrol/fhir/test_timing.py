"""Each way in which FHIR R4 can say when: what it was read as, or which element sent it back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.enrol import orders
from tests.unit.enrol.orders import coded, dosage, often, repeat

P = "MedicationRequest.dosageInstruction[0].timing"
R = f"{P}.repeat"
#: timing -> times, times_from, every, days
READ: list[tuple[dict[str, Any], tuple[str, ...], str, str, tuple[str, ...] | None]] = [
    (often(1), ("09:00",), "routine", "P1D", None),
    (often(2), ("09:00", "21:00"), "routine", "P1D", None),
    (often(3), ("09:00", "14:00", "21:00"), "routine", "P1D", None),
    (often(4), ("08:00", "12:00", "17:00", "21:00"), "routine", "P1D", None),
    (often(1, 24, "h"), ("09:00",), "routine", "P1D", None),
    (often(1, 12, "h"), ("09:00", "21:00"), "routine", "P1D", None),
    (often(1, 8, "h"), ("06:00", "14:00", "22:00"), "routine", "P1D", None),
    (often(1, 6, "h"), ("00:00", "06:00", "12:00", "18:00"), "routine", "P1D", None),
    (often(1, 480, "min"), ("06:00", "14:00", "22:00"), "routine", "P1D", None),
    (often(2, 24, "h"), ("09:00", "21:00"), "routine", "P1D", None),
    (often(1, 2), ("09:00",), "routine", "P2D", None),
    (often(1, 72, "h"), ("09:00",), "routine", "P3D", None),
    (often(1, 1, "wk"), ("09:00",), "routine", "P1W", None),
    (often(1, 2, "wk"), ("09:00",), "routine", "P2W", None),
    (often(1, 1, "wk", dayOfWeek=["wed"]), ("09:00",), "routine", "P1W", ("wed",)),
    (often(1, 2, "wk", dayOfWeek=["wed"]), ("09:00",), "routine", "P2W", ("wed",)),
    (often(3, 1, "wk", dayOfWeek=["fri", "mon", "wed"]), ("09:00",), "routine", "P1W", ("mon", "wed", "fri")),
    (often(1, dayOfWeek=["sat", "sun"]), ("09:00",), "routine", "P1D", ("sat", "sun")),
    (repeat(timeOfDay=["09:00:00"]), ("09:00",), "plan", "P1D", None),
    (repeat(timeOfDay=["20:00:00", "08:30:00"]), ("08:30", "20:00"), "plan", "P1D", None),
    (repeat(dayOfWeek=["mon"], timeOfDay=["07:15:00"]), ("07:15",), "plan", "P1D", ("mon",)),
    (often(2, timeOfDay=["08:00:00", "20:00:00"]), ("08:00", "20:00"), "plan", "P1D", None),
    (often(1, 8, "h", timeOfDay=["07:00:00", "15:00:00", "23:00:00"]), ("07:00", "15:00", "23:00"), "plan", "P1D", None),
    (coded("BID"), ("09:00", "21:00"), "routine", "P1D", None),
    (coded("TID"), ("09:00", "14:00", "21:00"), "routine", "P1D", None),
    (coded("QID"), ("08:00", "12:00", "17:00", "21:00"), "routine", "P1D", None),
    (coded("QD"), ("09:00",), "routine", "P1D", None),
    (coded("QOD"), ("09:00",), "routine", "P2D", None),
    (coded("AM"), ("09:00",), "routine", "P1D", None),
    (coded("PM"), ("17:00",), "routine", "P1D", None),
    (coded("BED"), ("22:00",), "routine", "P1D", None),
    (coded("WK"), ("09:00",), "routine", "P1W", None),
    (coded("Q8H"), ("06:00", "14:00", "22:00"), "routine", "P1D", None),
    (coded("BID", frequency=2, period=1, periodUnit="d"), ("09:00", "21:00"), "routine", "P1D", None),
    (coded("BID", timeOfDay=["07:00:00", "19:00:00"]), ("07:00", "19:00"), "plan", "P1D", None),
]


@pytest.mark.parametrize(("timing", "times", "times_from", "every", "days"), READ)
def test_is_read_as(timing: Any, times: Any, times_from: str, every: str, days: Any) -> None:
    row, plan = orders.enrolled(dosage(timing))
    assert row.outcome == "enrolled", row
    (slot,) = row.slots
    assert (slot.times, slot.times_from, slot.every, slot.days, slot.until) == (times, times_from, every, days, None)
    assert plan is not None
    assert [one["time"] for one in plan["slots"].values()] == list(times)


REFUSED: list[tuple[dict[str, Any] | None, str]] = [
    (None, P),
    ({}, P),
    (repeat(boundsPeriod={"start": "2026-12-01"}), R),
    ({"event": ["2026-12-01T09:00:00Z"]}, f"{P}.event"),
    ({"code": {"text": "BID"}}, f"{P}.code"),
    (coded("Q3H"), f"{R}.period"),
    (coded("MO"), f"{R}.periodUnit"),
    (coded("XYZ"), f"{P}.code"),
    (coded("BID", frequency=1, period=1, periodUnit="d"), f"{P}.code"),
    (coded("QD", timeOfDay=["08:00:00", "20:00:00"]), f"{R}.frequency"),
    (often(1, 3, "h"), f"{R}.period"),
    (often(1, 15, "min"), f"{R}.period"),
    (often(1, 5, "h"), f"{R}.period"),
    (often(1, 36, "h"), f"{R}.period"),
    (often(1, 1.5), f"{R}.period"),
    (often(1, 1, "mo"), f"{R}.periodUnit"),
    (often(1, 1, "a"), f"{R}.periodUnit"),
    (repeat(frequency=1, period=1), f"{R}.periodUnit"),
    (repeat(frequency=3), f"{R}.period"),
    (often(1, 0), f"{R}.period"),
    (often(6), f"{R}.frequency"),
    (often(3, 1, "wk"), f"{R}.dayOfWeek"),
    (often(2, 3), f"{R}.dayOfWeek"),
    (often(3, 1, "wk", dayOfWeek=["mon", "tue"]), f"{R}.frequency"),
    (often(1, 2, "wk", dayOfWeek=["mon", "tue"]), f"{R}.dayOfWeek"),
    (often(1, 8, "h", dayOfWeek=["mon"]), f"{R}.dayOfWeek"),
    (often(1, 8, "h", timeOfDay=["08:00:00", "12:00:00", "20:00:00"]), R),
    (often(1, periodMax=2), f"{R}.periodMax"),
    (often(1, frequencyMax=3), f"{R}.frequencyMax"),
    (often(1, count=5, countMax=7), f"{R}.countMax"),
    (often(1, boundsRange={"low": {"value": 5, "code": "d"}}), f"{R}.boundsRange"),
    (often(1, duration=2, durationUnit="h"), f"{R}.duration"),
    (often(1, timeOfDay=["08:00:00", "20:00:00"]), f"{R}.frequency"),
    (repeat(timeOfDay=["08:00:30"]), f"{R}.timeOfDay[0]"),
    (repeat(timeOfDay=["08:00:00", "08:00:00"]), f"{R}.timeOfDay"),
    (repeat(when=["MORN"]), f"{R}.when"),
    (repeat(when=["MORN.early"]), f"{R}.when[0]"),
    (repeat(when=["IMD"]), f"{R}.when[0]"),
    (repeat(when=["HS"], timeOfDay=["22:00:00"]), f"{R}.when"),
    (repeat(timeOfDay=["22:00:00"], offset=10), f"{R}.offset"),
    (repeat(when=["CM"], offset=10), f"{R}.offset"),
    (often(2, count=3), f"{R}.count"),
    (often(1, count=3, boundsPeriod={"start": "2026-12-01", "end": "2026-12-10"}), f"{R}.boundsPeriod.end"),
    (often(1, boundsPeriod={"start": "2026-12-01", "end": "2026-11-30"}), f"{R}.boundsPeriod.end"),
    (often(1, boundsPeriod={"start": "2026-12"}), f"{R}.boundsPeriod.start"),
    (often(1, boundsPeriod={"start": "2015-01-16", "end": "2015-01-20"}), f"{R}.boundsPeriod.end"),
    (often(1, boundsPeriod={"start": "2028-12-01"}), f"{R}.boundsPeriod.start"),
    (often(1, boundsDuration={"value": 3}), f"{R}.boundsDuration"),
    (often(1, boundsDuration={"value": 1.5, "code": "d"}), f"{R}.boundsDuration.value"),
    (often(1, boundsDuration={"value": 7, "code": "d", "comparator": "<"}), f"{R}.boundsDuration.comparator"),
    (often(1, boundsPeriod={"start": "2026-12-01T12:00:00Z"}), f"{R}.boundsPeriod.start"),
    (
        {
            "repeat": {
                "frequency": 1,
                "period": 1,
                "periodUnit": "d",
                "extension": [{"url": "http://x.example/y", "valueInteger": 1}],
            }
        },
        f"{R}.extension",
    ),
    ({**often(1), "modifierExtension": [{"url": "http://x.example/y", "valueInteger": 1}]}, f"{P}.modifierExtension"),
    (often(1, period_max=3), f"{R}.period_max"),
    (repeat(frequency="1", period=1, periodUnit="d"), f"{R}.frequency"),
]


@pytest.mark.parametrize(("timing", "element"), REFUSED)
def test_is_refused_by(timing: Any, element: str) -> None:
    row, plan = orders.enrolled(dosage(timing))
    assert (row.outcome, row.element) == ("refused", element), row
    assert row.reason
    assert row.accepted
    assert plan is None


BOUNDS: list[tuple[dict[str, Any], str | None]] = [
    (often(1, boundsPeriod={"start": "2026-11-24", "end": "2026-11-30"}), "2026-11-30"),
    (often(1, boundsPeriod={"end": "2026-11-30T00:00:00Z"}), "2026-11-29"),
    (often(1, boundsPeriod={"end": "2026-11-30T23:59:59Z"}), "2026-11-30"),
    (often(1, boundsDuration={"value": 7, "unit": "days", "code": "d"}), "2026-11-26"),
    (often(1, boundsDuration={"value": 2, "unit": "wk", "code": "wk"}), "2026-12-03"),
    (often(1, boundsDuration={"value": 1, "unit": "month", "code": "mo"}), "2026-12-19"),
    (often(2, boundsPeriod={"start": "2026-12-01"}, count=10), "2026-12-05"),
    (often(1, 2, count=4, boundsPeriod={"start": "2026-12-01"}), "2026-12-07"),
    (often(1, 1, "wk", dayOfWeek=["fri"], count=3, boundsPeriod={"start": "2026-12-01"}), "2026-12-18"),
    (often(1, count=3, boundsDuration={"value": 6, "code": "d"}), "refused"),
    (coded("BID", boundsPeriod={"start": "2026-12-01", "end": "2026-12-05"}), "2026-12-05"),
]


@pytest.mark.parametrize(("timing", "until"), BOUNDS)
def test_bounds_and_counts_end_on(timing: Any, until: str) -> None:
    row, _ = orders.enrolled(dosage(timing))
    assert (row.slots[0].until if row.slots else row.outcome) == until, row


def test_a_length_without_any_first_day_is_refused() -> None:
    row, _ = orders.enrolled(dosage(often(1, boundsDuration={"value": 7, "code": "d"})), authoredOn=None)
    assert row.element == f"{R}.boundsDuration"
    assert "authoredOn" in (row.accepted or "")


ROUTINE = {"wake": "06:30", "breakfast": "07:30", "lunch": "12:15", "dinner": "18:30", "sleep": "22:30", "morning": "08:00"}
WITH_ROUTINE = replace(orders.SETTING, routines={"rosa": ROUTINE})


@pytest.mark.parametrize(
    ("timing", "times"),
    [
        (repeat(when=["MORN"]), ("08:00",)),
        (repeat(when=["WAKE", "HS"]), ("06:30", "22:30")),
        (repeat(when=["ACM"], offset=10), ("07:20",)),
        (repeat(when=["PCV"], offset=30), ("19:00",)),
        (repeat(when=["AC"]), ("07:30", "12:15", "18:30")),
        (often(3, when=["C"]), ("07:30", "12:15", "18:30")),
        (coded("QD", when=["CM"]), ("07:30",)),
    ],
)
def test_moments_use_the_patients_routine(timing: Any, times: Any) -> None:
    row, plan = orders.enrolled(dosage(timing), setting=WITH_ROUTINE)
    assert row.outcome == "enrolled", row
    assert (row.slots[0].times, row.slots[0].times_from) == (times, "routine")
    assert plan is not None
    assert plan["routine"] == ROUTINE


def test_a_moment_that_the_routine_lacks_is_refused() -> None:
    row, _ = orders.enrolled(dosage(repeat(when=["NOON"])), setting=WITH_ROUTINE)
    assert row.element == f"{R}.when"


def test_doses_of_a_moment_follow_the_routine_and_those_of_a_stated_time_do_not() -> None:
    row, plan = orders.enrolled(dosage(repeat(when=["MORN"])), setting=WITH_ROUTINE)
    assert row.outcome == "enrolled"
    assert plan is not None
    assert plan["slots"] == {"t0800": {"time": "08:00", "times_from": "routine", "routine": "morning"}}
    _, plan = orders.enrolled(dosage(repeat(timeOfDay=["08:00:00"])), setting=WITH_ROUTINE)
    assert plan is not None
    assert plan["slots"] == {"t0800": {"time": "08:00", "times_from": "plan"}}
