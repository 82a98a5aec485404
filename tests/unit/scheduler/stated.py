"""Plans as a clinic states them, every kind of them, and how the product's occurrences are told in the oracle's words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from services.scheduler.bodies import PlanBody
from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.plan import Plan
from services.scheduler.reading import Reader
from services.scheduler.storage.clinics import Clinic
from tests.unit.scheduler.builders import PATIENT
from tests.unit.scheduler.clocks import DAY, ZONES, changes
from tests.unit.scheduler.oracle import Entry

Drawn = dict[str, Any]

CLINIC = Clinic(UUID("22222222-2222-4222-8222-222222222222"), None, {})
NOTHING: Drawn = {
    name: [] for name in ("medicines", "check_ins", "follow_ups", "appointments", "monitoring", "education", "reviews")
}


def read(stated: Drawn) -> tuple[Plan, Callable[[Occurrence], Entry]]:
    """The statement as the product reads it, and how its occurrences are told in the oracle's words."""
    reader = Reader(PATIENT, CLINIC, "p1")
    plan = reader.plan(PlanBody.model_validate(stated))

    def told(one: Occurrence) -> Entry:
        doses = one.detail.get("doses", ())
        taken = tuple((str(reader.medicines[dose["medication_id"]]["id"]), dose["quantity"], dose["unit"]) for dose in doses)
        name = one.slot_id if one.kind == "dose-due" else reader.elements[str(one.series_id)]
        return Entry(one.due_at, one.kind, one.local_date, name, taken)

    return plan, told


def daily(zone: str, slots: dict[str, str]) -> Drawn:
    doses = [{"slot": slot, "quantity": "1", "unit": "tablet"} for slot in slots]
    medicine = {"id": "m1", "steps": [{"from_day": 1, "doses": doses}]}
    return {**NOTHING, "zone": zone, "starts_on": "2025-12-01", "slots": slots, "medicines": [medicine]}


#: Times at which clocks move, around which dates end, and a few at which people take medicine.
WALLS = st.sampled_from(
    ["00:00", "00:15", "00:30", "01:30", "02:00", "02:30", "02:59", "03:00", "08:00", "21:45", "23:00", "23:30", "23:59"]
)
LONGEST = 7
DAYS = st.integers(1, LONGEST)
WEEKDAYS = st.lists(st.integers(1, 7), unique=True, max_size=5)


def dose(slot: str) -> st.SearchStrategy[Drawn]:
    stated = {"slot": st.just(slot), "quantity": st.sampled_from(["1", "0.5", "25"]), "unit": st.sampled_from(["tablet", "mg"])}
    return st.fixed_dictionaries(stated, optional={"every_days": st.integers(1, 5), "weekdays": WEEKDAYS})


@st.composite
def ladder(draw: st.DrawFn, slots: list[str]) -> list[Drawn]:
    """One to four rungs, each with a dose at some of the slots, every so many days, on certain weekdays, or both."""
    some = st.lists(st.sampled_from(slots), unique=True)
    rungs = sorted(draw(st.sets(DAYS, min_size=1, max_size=4)))
    return [{"from_day": day, "doses": [draw(dose(slot)) for slot in draw(some)]} for day in rungs]


@st.composite
def medicine(draw: st.DrawFn, name: str, slots: list[str], begins: date) -> Drawn:
    steps = draw(ladder(slots))
    ends = draw(st.sampled_from(["never", "on a day", "as a taper", "as needed"]))
    if ends == "as a taper":
        steps.append({"from_day": steps[-1]["from_day"] + draw(DAYS), "doses": []})
        return {"id": name, "kind": "taper", "steps": steps}
    if ends == "on a day":
        last = begins + DAY * (steps[0]["from_day"] - 1 + draw(st.integers(0, LONGEST)))
        return {"id": name, "steps": steps, "ends_on": str(last)}
    return {"id": name, "kind": "titration", "steps": steps, "as_needed": ends == "as needed"}


def elements(
    name: str, most: int, optional: Drawn | None = None, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[list[Drawn]]:
    """Up to so many elements of a plan, each with an id of its own."""

    def numbered(found: list[Drawn]) -> list[Drawn]:
        return [{"id": f"{name}{number}", **one} for number, one in enumerate(found)]

    return st.lists(st.fixed_dictionaries(fields, optional=optional or {}), max_size=most).map(numbered)


def with_last(elements_: list[Drawn], first: str, last: str) -> list[Drawn]:
    """The last day is drawn as a number of days after the first."""
    return [{**one, last: one[first] + one[last]} if last in one else one for one in elements_]


@st.composite
def statements(draw: st.DrawFn) -> Drawn:
    """A plan that begins shortly before a change of its zone's clock, or anywhere in the five years."""
    zone = draw(st.sampled_from(ZONES))
    near = draw(st.sampled_from(changes(zone) or changes("Europe/Berlin"))).date() - DAY * draw(st.integers(0, LONGEST))
    begins = draw(st.one_of(st.just(near), st.dates(date(2026, 1, 2), date(2030, 12, 1))))
    slots = {f"s{n}": wall for n, wall in enumerate(draw(st.lists(WALLS, unique=True, min_size=1, max_size=6)))}
    names = ["m1", "m2", "m3"][: draw(st.integers(0, 3))]
    after = st.integers(0, 4)
    asked = {"instrument": st.just("mood"), "item": st.just("mood"), "first_day": DAYS, "every_days": st.integers(1, 5)}
    starts_at = st.builds(lambda day, wall: f"{begins + DAY * day}T{wall}", DAYS, WALLS)
    return {
        "zone": zone,
        "starts_on": str(begins),
        "slots": slots,
        "medicines": [draw(medicine(name, list(slots), begins)) for name in names],
        "check_ins": with_last(draw(elements("c", 2, {"last_day": after}, time=WALLS, **asked)), "first_day", "last_day"),
        "follow_ups": with_last(draw(elements("f", 2, due_day=DAYS, deadline_day=after, time=WALLS)), "due_day", "deadline_day"),
        "appointments": draw(elements("a", 1, {"zone": st.sampled_from(ZONES)}, starts_at=starts_at)),
        "monitoring": draw(elements("l", 2, {"every_days": st.integers(1, 6)}, due_day=DAYS, deadline_days=after, time=WALLS)),
        "education": draw(elements("e", 1, lesson=st.just("sleep"), day=DAYS, time=WALLS)),
        "reviews": draw(elements("r", 1, reason=st.just("end-of-titration"), day=DAYS, time=WALLS)),
    }
