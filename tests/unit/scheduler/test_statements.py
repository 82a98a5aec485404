"""Reading a statement, putting it again, and what may travel."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler import events, rule_sets
from services.scheduler.bodies import PlanBody
from services.scheduler.domain import identity, ladder, merge, transitions, validation
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.facts import (
    AppointmentCancelled,
    DoseChanged,
    MedicineAdded,
    MedicineRemoved,
    MedicineSwitched,
    PlanCompleted,
    RoutineChanged,
    TaperStarted,
    ZoneChanged,
)
from services.scheduler.domain.load import dose_texts_on_fullest_day
from services.scheduler.domain.plan import Plan
from services.scheduler.reading import Reader
from services.scheduler.rule_sets import RXNORM, Coded, rule_sets_for
from services.scheduler.storage import definition
from services.scheduler.storage.clinics import Clinic
from shared.events.base import STEADYPATH_NAMESPACE, stable_id
from tests.unit.scheduler.builders import LIMITS, PATIENT, utc

CLINIC = Clinic(UUID("22222222-2222-4222-8222-222222222222"), "America/Chicago", {"morning": time(7)})
NOW = utc(2026, 11, 23, 18)
DOSES = [{"slot": "morning", "quantity": "1", "unit": "tablet"}]


def medicine(external: str = "m1", quantity: str = "1", **more: Any) -> dict[str, Any]:
    return {"id": external, "steps": [{"from_day": 1, "doses": [DOSES[0] | {"quantity": quantity}]}]} | more


def statement(**more: Any) -> Plan:
    body = {"zone": "America/New_York", "starts_on": "2026-11-23", "slots": {"morning": "08:00"}, "medicines": [medicine()]}
    return Reader(PATIENT, CLINIC, "p1").plan(PlanBody.model_validate(body | more))


def test_ids_are_those_of_the_house() -> None:
    assert identity.NAMESPACE == STEADYPATH_NAMESPACE
    assert identity.stable_id("a", 1) == stable_id("a", 1)
    assert statement().medicines[0].id == stable_id(CLINIC.id, "medication", "p1", "m1")


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        ("08:00", (time(8), "plan")),
        ({"time": "08:00"}, (time(8), "plan")),
        ({"times_from": "routine"}, (time(7), "routine")),
        ({"times_from": "routine", "routine": "bedtime"}, (time(22), "routine")),
        ({}, (time(7), "routine")),
    ],
)
def test_a_slot_says_where_its_time_is_from(slot: Any, expected: tuple[time, str]) -> None:
    read = statement(slots={"morning": slot}).slots[0]
    assert (read.at, read.times_from) == expected


def test_the_patients_own_routine_comes_before_the_clinics() -> None:
    assert statement(slots={"morning": {"times_from": "routine"}}, routine={"morning": "10:00"}).slots[0].at == time(10)


def test_steps_count_from_the_medicines_own_start_where_it_has_one() -> None:
    steps = [{"from_day": 1, "doses": DOSES}, {"from_day": 15, "doses": DOSES}]
    own = statement(medicines=[{"id": "m1", "starts_on": "2026-12-01", "steps": steps}])
    assert [step.from_on for step in own.medicines[0].steps] == [date(2026, 12, 1), date(2026, 12, 15)]


@given(st.sampled_from([{}, {"zone": None}, {"routine": {"morning": "09:00"}}, {"medicines": []}]))
def test_a_plan_survives_storage(more: dict[str, Any]) -> None:
    plan = statement(
        **more,
        check_ins=[{"id": "c", "instrument": "mood", "item": "mood", "time": "10:00", "answer_within": "PT12H"}],
        appointments=[{"id": "a", "starts_at": "2026-12-07T10:00"}],
        monitoring=[{"id": "m", "due_day": 3, "deadline_days": 2}],
    )
    assert definition.from_json(definition.to_json(plan)) == plan


def started(**more: Any) -> tuple[Plan, Plan]:
    base = statement(**more)
    return transitions.start(base, NOW).plan, base


def put(new: Plan, current: Plan, base: Plan) -> tuple[Plan, list[type]]:
    change = merge.put_again(current, base, new, NOW)
    assert change.plan.version == current.version + len(change.facts)
    return change.plan, [type(fact) for fact in change.facts]


@pytest.mark.parametrize(
    ("new", "facts"),
    [
        ({}, []),
        ({"medicines": [medicine(quantity="2")]}, [DoseChanged]),
        ({"medicines": [medicine(), medicine("m2")]}, [MedicineAdded]),
        ({"medicines": []}, [MedicineRemoved]),
        ({"medicines": [medicine("m2", replaces="m1")]}, [MedicineSwitched]),
        ({"medicines": [medicine(kind="taper", ends_on="2026-12-24")]}, [TaperStarted]),
        ({"zone": "America/Denver"}, [ZoneChanged]),
        ({"slots": {"morning": "09:00"}}, [RoutineChanged]),
        ({"appointments": []}, [AppointmentCancelled]),
        ({"follow_ups": [{"id": "f", "due_day": 9, "deadline_day": 14, "time": "10:00"}]}, [RoutineChanged]),
    ],
)
def test_a_changed_statement_says_what_changed_and_nothing_else(new: dict[str, Any], facts: list[type]) -> None:
    appointments = [{"id": "a", "starts_at": "2026-12-07T10:00", "zone": "America/New_York"}]
    current, base = started(appointments=appointments)
    assert put(statement(**{"appointments": appointments} | new), current, base)[1] == facts


def test_editing_something_else_does_not_undo_a_dose_change() -> None:
    current, base = started()
    step = replace(current.medicines[0].steps[0], from_on=date(2026, 11, 25))
    changed = transitions.change_dose(current, NOW, current.medicines[0].id, (step,), "other").plan
    moved, facts = put(statement(slots={"morning": "09:00"}), changed, base)
    assert facts == [RoutineChanged]
    assert moved.medicines == changed.medicines


def test_an_appointment_booked_by_command_is_not_cancelled_by_a_statement_that_never_held_it() -> None:
    current, base = started()
    reader = Reader(PATIENT, CLINIC, "p1")
    body = {"id": "b", "starts_at": "2026-12-07T10:00"}
    one = reader.plan(PlanBody.model_validate({"starts_on": "2026-11-23", "appointments": [body]})).appointments[0]
    booked = transitions.put_appointment(current, one).plan
    assert put(statement(zone="America/Denver"), booked, base)[0].appointments == (one,)


def test_a_plan_completes_when_nothing_of_it_is_to_come() -> None:
    current, _ = started(medicines=[medicine(ends_on="2026-11-24")])
    after = ladder.advance(current, utc(2026, 11, 25, 6))
    assert [type(fact) for fact in after.facts] == [MedicineRemoved, PlanCompleted]
    assert ladder.next_change(after.plan, utc(2026, 11, 25, 6)) is None


def test_medicines_of_one_slot_count_as_one_text() -> None:
    slots = {f"s{n}": f"{6 + n:02}:00" for n in range(7)}
    each = [medicine(f"m{n}", steps=[{"doses": [DOSES[0] | {"slot": f"s{n}"}]}]) for n in range(7)]
    seven = statement(slots=slots, medicines=each)
    assert dose_texts_on_fullest_day(seven) == 7
    with pytest.raises(Refused, match="more texts"):
        validation.check(seven, LIMITS)
    alternating = [DOSES[0] | {"slot": f"s{n}", "weekdays": [n + 1]} for n in range(7)]
    assert dose_texts_on_fullest_day(statement(slots=slots, medicines=[{"id": "m1", "steps": [{"doses": alternating}]}])) == 1


CLOZAPINE = Coded(RXNORM, "2626")
LAMOTRIGINE = Coded(RXNORM, "9999999", "lamoTRIgine 25 MG Oral Tablet [LaMICtal]")


@pytest.mark.parametrize(
    ("medicine_", "beside", "expected"),
    [
        (CLOZAPINE, [], ("gap-48h",)),
        (Coded("urn:other", "2626"), [], ()),
        (Coded(None, None, "Clozapine 100 MG"), [], ("gap-48h",)),
        (LAMOTRIGINE, [], ("gap-5-half-lives",)),
        (LAMOTRIGINE, [Coded(display="Divalproex Sodium 500 MG")], ("gap-5-half-lives-inhibited",)),
        (LAMOTRIGINE, [Coded(display="Carbamazepine")], ("gap-5-half-lives-induced",)),
        (LAMOTRIGINE, [Coded(RXNORM, "40254"), Coded(RXNORM, "2002")], ("gap-5-half-lives-both",)),
        (Coded(display="Sertraline 50 MG"), [CLOZAPINE], ()),
    ],
)
def test_a_medicine_is_watched_by_the_rules_of_its_code(medicine_: Coded, beside: list[Coded], expected: tuple[str, ...]) -> None:
    assert rule_sets_for(medicine_, beside) == expected


def test_every_rule_set_that_may_be_said_is_one_that_adherence_knows() -> None:
    rules = Path(__file__).resolve().parents[3] / "services" / "adherence" / "data" / "rules.toml"
    known = {rule["id"] for kind in tomllib.loads(rules.read_text("utf-8")).values() for rule in kind}
    assert rule_sets.all_rule_sets() <= known


@pytest.mark.parametrize(("said", "code"), [("side-effects", "side-effects"), ("Too sleepy, phoned", "other"), (None, "other")])
def test_free_text_never_travels_as_a_reason(said: str | None, code: str) -> None:
    assert events.reason_code(said) == code
