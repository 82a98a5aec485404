"""Random timings: each is refused by an element, or read as what an independent count of doses says; twelve weeks, day by day.

The counting here shares nothing with the reader: it walks days and minutes.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.bodies import PlanBody
from services.scheduler.domain import expansion
from services.scheduler.reading import Reader
from services.scheduler.storage.clinics import Clinic
from steadypath.enrol.fhir.text import read_text
from tests.unit.enrol import orders
from tests.unit.enrol.orders import dosage
from tests.unit.scheduler.builders import PATIENT

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
START = date(2026, 11, 20)
_optional = {
    "frequency": st.integers(1, 5),
    "period": st.sampled_from([1, 2, 3, 4, 6, 7, 8, 12, 14, 24, 36, 48, 72, 0.5]),
    "periodUnit": st.sampled_from(["min", "h", "d", "d", "d", "wk", "mo"]),
    "dayOfWeek": st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True),
    "timeOfDay": st.lists(st.sampled_from([f"{hour:02d}:00:00" for hour in range(24)]), min_size=1, max_size=4, unique=True),
    "count": st.integers(1, 60),
    "boundsDuration": st.fixed_dictionaries({"value": st.integers(1, 12), "code": st.sampled_from(["d", "wk", "mo"])}),
    "boundsPeriod": st.sampled_from(
        [{"start": "2026-11-24"}, {"start": "2026-11-24", "end": "2027-01-10"}, {"end": "2026-12-31"}]
    ),
    "periodMax": st.just(9),
}
REPEAT = st.fixed_dictionaries({}, optional=_optional)


def taken(plan: dict[str, Any], days: int = 84) -> list[tuple[date, int]]:
    """What the scheduler would ask for on each local day, by its own expansion."""
    read = Reader(PATIENT, Clinic(PATIENT), "rosa").plan(PlanBody.model_validate(plan))
    found = []
    for number in range(days):
        day = date(2026, 11, 20) + timedelta(days=number)
        found.append((day, len(expansion.doses_by_slot(read.medicines, day))))
    return found


def counted(repeat: dict[str, Any], days: int = 84) -> list[tuple[date, int]]:
    """The doses of each day, counted from the element's own definition in FHIR: naively."""
    first = date.fromisoformat(repeat.get("boundsPeriod", {}).get("start", START.isoformat()))
    last = repeat.get("boundsPeriod", {}).get("end")
    end = date.fromisoformat(last) if last else None
    length = repeat.get("boundsDuration")
    if length:
        if length["code"] == "mo":
            month = first.month - 1 + length["value"]
            end = date(first.year + month // 12, month % 12 + 1, first.day) - timedelta(days=1)
        else:
            end = first + timedelta(days=length["value"] * (7 if length["code"] == "wk" else 1) - 1)
    named = [DAYS.index(day) for day in repeat.get("dayOfWeek", [])]
    hours = repeat.get("period", 1) * {"min": 1 / 60, "h": 1, "d": 24, "wk": 168}[repeat.get("periodUnit", "d")]
    left = repeat.get("count", 10**6)
    found = []
    begin = next(day for day in (first + timedelta(days=n) for n in range(7)) if not named or day.weekday() in named)
    for number in range(days):
        day = START + timedelta(days=number)
        today = 0
        if first <= day and (end is None or day <= end) and (not named or day.weekday() in named):
            since = (day - (begin if hours > 168 else first)).days
            by_week = bool(named) and hours <= 168
            due = by_week or hours <= 24 or since % (hours / 24) == 0
            if due:
                times = len(repeat.get("timeOfDay", []))
                each = (
                    repeat.get("frequency", 1) / len(named)
                    if named and hours > 24 and "frequency" in repeat
                    else repeat.get("frequency", 1)
                )
                today = times or int(each * 24 / hours if hours < 24 else each)
        today = min(today, left)
        left -= today
        found.append((day, today))
    return found


@settings(max_examples=400, deadline=None)
@given(REPEAT)
def test_a_timing_is_refused_by_its_element_or_read_as_it_counts(repeat: dict[str, Any]) -> None:
    row, plan = orders.enrolled(dosage({"repeat": repeat}))
    if row.outcome == "refused":
        assert (row.element or "").startswith("MedicationRequest.dosageInstruction[0].timing")
        assert row.reason
        assert row.accepted
        return
    assert row.outcome == "enrolled"
    assert plan is not None
    assert taken(plan) == counted(repeat)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.booleans())
def test_frequencies_of_a_day_are_never_refused(frequency: int, code: bool) -> None:
    timing = orders.coded(["QD", "BID", "TID", "QID"][frequency - 1]) if code else orders.often(frequency)
    row, plan = orders.enrolled(dosage(timing))
    assert row.outcome == "enrolled"
    assert plan is not None
    assert {number for _, number in taken(plan)} == {frequency}


@settings(deadline=None)
@given(st.text(max_size=200))
def test_the_text_reader_takes_anything(text: str) -> None:
    assert read_text(text) == read_text(text)


_SAID = """
take 1 2 one two half a an tablet tablets mg 50 every other day days hour hours 6 q8h bid daily twice times for x 7
weeks month then at 9am 21:00 bedtime morning with meals lunch as needed prn starting
january 3, 2027 until - ( ) / and or to every monday . , once
"""
_WORDS = st.sampled_from(_SAID.split())


@settings(max_examples=500, deadline=None)
@given(st.lists(_WORDS, max_size=14))
def test_the_text_reader_takes_any_order_of_its_own_words(words: list[str]) -> None:
    read_text(" ".join(words))
    row, _ = orders.enrolled(dosage(orders.often(1), " ".join(words) or "x"))
    assert row.outcome in ("enrolled", "refused")
