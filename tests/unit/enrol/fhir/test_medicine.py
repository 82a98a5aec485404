"""One request: whether it is in force, what is taken and by whom, as needed or not, and its steps as one ladder."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from services.scheduler.bodies import PlanBody
from services.scheduler.domain import validation
from services.scheduler.reading import Reader
from services.scheduler.storage.clinics import Clinic
from tests.unit.enrol import orders
from tests.unit.enrol.orders import dosage, often, repeat
from tests.unit.scheduler.builders import LIMITS, PATIENT

M = "MedicationRequest"
D = f"{M}.dosageInstruction"


def check_plan(plan: dict[str, Any]) -> None:
    """By the scheduler's own shape and rules."""
    body = PlanBody.model_validate(plan)
    reader = Reader(PATIENT, Clinic(PATIENT), "rosa")
    validation.check(reader.plan(body), LIMITS)


def dose(value: float, unit: str = "TAB", **more: Any) -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value, "unit": unit, **more}}]}


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        *(
            ({"status": one}, f"{M}.status")
            for one in ("completed", "stopped", "draft", "entered-in-error", "cancelled", "bogus")
        ),
        *(({"intent": one}, f"{M}.intent") for one in ("proposal", "plan", "option")),
        ({"doNotPerform": True}, f"{M}.doNotPerform"),
        ({"dosageInstruction": None}, f"{M}.dosageInstruction"),
        ({"modifierExtension": [{"url": "http://x.example", "valueCode": "x"}]}, f"{M}.modifierExtension"),
        ({"implicitRules": "http://x.example/rules"}, f"{M}.implicitRules"),
        ({"medicationCodeableConcept": {}}, f"{M}.medicationCodeableConcept"),
        ({"medicationCodeableConcept": None}, M),
        ({"medicationCodeableConcept": None, "medicationReference": {"reference": "#no"}}, f"{M}.medicationReference"),
        ({"category": [{"coding": [{"code": "inpatient"}]}]}, f"{M}.category[0]"),
        ({"authoredOn": "2026-02-30"}, f"{M}.authoredOn"),
        ({"requester": {"agent": {"reference": "Practitioner/1"}}}, f"{M}.requester.agent"),
        ({"medication": {"concept": {"text": "R5"}}}, f"{M}.medication"),
        ({"reason": []}, f"{M}.reason"),
    ],
)
def test_a_request_that_is_not_to_be_planned(changes: Any, element: str) -> None:
    row, _ = orders.enrolled(dosage(often(1)), **changes)
    assert (row.outcome, row.element) == ("refused", element), row
    assert row.accepted


@pytest.mark.parametrize(
    ("parts", "element"),
    [
        ({"doseAndRate": [{"doseRange": {"low": {"value": 1}, "high": {"value": 2}}}]}, f"{D}[0].doseAndRate[0].doseRange"),
        (
            {"doseAndRate": [{"rateRatio": {"numerator": {"value": 8}, "denominator": {"value": 1}}}]},
            f"{D}[0].doseAndRate[0].rateRatio",
        ),
        ({"doseAndRate": [{"rateQuantity": {"value": 50, "unit": "ml/h"}}]}, f"{D}[0].doseAndRate[0].rateQuantity"),
        ({"doseAndRate": [{"rateRange": {"low": {"value": 1}}}]}, f"{D}[0].doseAndRate[0].rateRange"),
        ({"route": {"coding": [{"system": "http://snomed.info/sct", "code": "47625008"}]}}, f"{D}[0].route"),
        ({"route": {"text": "Intravenous use"}}, f"{D}[0].route"),
        ({"route": {"coding": [{"code": "IM", "display": "Injection, intramuscular"}]}}, f"{D}[0].route"),
        ({"method": {"text": "Infusion"}}, f"{D}[0].method"),
        (dose(0), f"{D}[0].doseAndRate[0].doseQuantity.value"),
        (dose(-1), f"{D}[0].doseAndRate[0].doseQuantity.value"),
        (dose(1, comparator="<"), f"{D}[0].doseAndRate[0].doseQuantity.comparator"),
        (dose(5, "mg/kg"), f"{D}[0].doseAndRate[0].doseQuantity.unit"),
        ({"doseAndRate": [dose(1)["doseAndRate"][0], dose(2)["doseAndRate"][0]]}, f"{D}[0].doseAndRate"),
        ({"maxDosePerLifetime": {"value": 9}}, f"{D}[0].maxDosePerLifetime"),
        ({"maxDosePerAdministration": {"value": 0.5, "unit": "TAB"}}, f"{D}[0].maxDosePerAdministration"),
        (
            {"maxDosePerPeriod": {"numerator": {"value": 1, "unit": "TAB"}, "denominator": {"value": 1, "code": "d"}}},
            f"{D}[0].maxDosePerPeriod",
        ),
        ({"doseQuantity": {"value": 1}}, f"{D}[0].doseQuantity"),
        ({"asNeeded": True}, f"{D}[0].asNeeded"),
        ({"asNeededBoolean": "yes"}, f"{D}[0].asNeededBoolean"),
    ],
)
def test_what_nobody_takes_so_at_home(parts: Any, element: str) -> None:
    row, _ = orders.enrolled(dosage(often(2), **parts))
    assert (row.outcome, row.element) == ("refused", element), row


def test_a_maximum_in_another_unit_or_above_changes_nothing() -> None:
    for value, unit in ((4, "TAB"), (1, "mg")):
        most = {"numerator": {"value": value, "unit": unit}, "denominator": {"value": 1, "code": "d"}}
        assert orders.enrolled(dosage(often(2), maxDosePerPeriod=most))[0].outcome == "enrolled"


def test_as_needed_is_logged_and_never_asked_for() -> None:
    for timing in (None, often(1, 6, "h"), repeat(when=["HS"]), repeat(boundsPeriod={"end": "2026-12-24"})):
        row, plan = orders.enrolled(dosage(timing, "1 tablet as needed", asNeededBoolean=True))
        assert row.outcome == "enrolled", row
        (slot,) = row.slots
        assert (slot.as_needed, slot.times, slot.dose) == (True, (), "1 TAB")
        assert plan is not None
        assert (plan["medicines"][0]["as_needed"], plan["medicines"][0]["steps"], plan["slots"]) == (True, [], {})
        check_plan(plan)


def test_partly_as_needed_is_two_medicines() -> None:
    row, plan = orders.enrolled(dosage(often(1)), dosage(None, asNeededBoolean=True))
    assert row.outcome == "enrolled", row
    assert plan is not None
    assert [(one["id"], one["as_needed"]) for one in plan["medicines"]] == [("order", False), ("order.prn", True)]
    check_plan(plan)


def step(number: int, amount: float, start: str | None = None, end: str | None = None, **timing: Any) -> dict[str, Any]:
    bounds: dict[str, Any] = (
        {"boundsPeriod": {key: value for key, value in (("start", start), ("end", end)) if value}} if start or end else {}
    )
    return dosage(often(1, **bounds, **timing), **dose(amount), sequence=number)


def test_a_taper_in_sequence_is_one_ladder() -> None:
    row, plan = orders.enrolled(
        step(2, 2, "2026-12-08", "2026-12-14"), step(1, 4, "2026-12-01", "2026-12-07"), step(3, 1, "2026-12-15", "2026-12-21")
    )
    assert row.outcome == "enrolled", row
    assert [slot.until for slot in row.slots] == ["2026-12-14", "2026-12-07", "2026-12-21"]
    assert plan is not None
    (medicine,) = plan["medicines"]
    assert (medicine["kind"], medicine["starts_on"], medicine["ends_on"]) == ("taper", "2026-12-01", "2026-12-21")
    assert [(one["from_day"], one["doses"][0]["quantity"]) for one in medicine["steps"]] == [(1, "4"), (8, "2"), (15, "1")]
    check_plan(plan)


def test_lengths_in_sequence_follow_each_other_from_the_day_of_the_order() -> None:
    week: dict[str, Any] = {"boundsDuration": {"value": 1, "code": "wk"}}
    row, plan = orders.enrolled(step(1, 1, **week), step(2, 2, **week), step(3, 3))
    assert row.outcome == "enrolled", row
    assert plan is not None
    (medicine,) = plan["medicines"]
    assert (medicine["kind"], medicine["starts_on"], medicine.get("ends_on")) == ("titration", "2026-11-20", None)
    assert [(one["from_day"], one["doses"][0]["quantity"]) for one in medicine["steps"]] == [(1, "1"), (8, "2"), (15, "3")]
    check_plan(plan)


def test_a_gap_between_steps_is_a_step_without_doses() -> None:
    _, plan = orders.enrolled(step(1, 1, "2026-12-01", "2026-12-07"), step(2, 1, "2026-12-15", "2026-12-21"))
    assert plan is not None
    assert [(one["from_day"], len(one["doses"])) for one in plan["medicines"][0]["steps"]] == [(1, 1), (8, 0), (15, 1)]
    check_plan(plan)


@pytest.mark.parametrize(
    ("dosages", "element"),
    [
        ([step(1, 2), step(2, 1, boundsDuration={"value": 4, "code": "d"})], f"{D}[0].timing.repeat.bounds[x]"),
        (
            [step(1, 2, "2026-12-01", "2026-12-10"), step(2, 1, "2026-12-08", "2026-12-14")],
            f"{D}[1].timing.repeat.boundsPeriod",
        ),
        ([step(1, 2, "2026-12-01", "2026-12-10"), dosage(often(1))], f"{D}[1].sequence"),
        ([dosage(often(1)), dosage(often(1))], f"{D}[1].timing.repeat"),
        ([dosage(repeat(timeOfDay=["08:00:00"])), dosage(repeat(timeOfDay=["08:00:00"]))], f"{D}[1].timing.repeat"),
        ([dosage(repeat(timeOfDay=["08:00:00"])), dosage(often(1))], f"{D}[1].timing.repeat"),
        (
            [step(1, 2, "2015-01-16", "2015-01-20"), step(2, 1, "2015-01-23", "2015-01-30")],
            f"{D}[1].timing.repeat.boundsPeriod.end",
        ),
    ],
)
def test_steps_that_do_not_fit_each_other(dosages: Any, element: str) -> None:
    row, _ = orders.enrolled(*dosages)
    assert (row.outcome, row.element) == ("refused", element), row


def test_an_interval_that_another_instruction_would_shift_is_refused() -> None:
    other_days = dosage(
        repeat(timeOfDay=["08:00:00"], frequency=1, period=2, periodUnit="d", boundsPeriod={"start": "2026-12-01"})
    )
    for start, outcome in (("2026-12-03", "enrolled"), ("2026-12-04", "refused")):
        beside = dosage(repeat(timeOfDay=["20:00:00"], boundsPeriod={"start": start}))
        row, _ = orders.enrolled(other_days, beside)
        assert (row.outcome, row.element) == (outcome, f"{D}[0].timing.repeat.period" if outcome == "refused" else None)


def test_doses_beside_each_other_each_with_its_time() -> None:
    row, plan = orders.enrolled(
        dosage(repeat(timeOfDay=["08:00:00"])),
        dosage(repeat(timeOfDay=["21:00:00"]), **dose(2)),
        dosage(repeat(timeOfDay=["12:00:00"], dayOfWeek=["sun"])),
    )
    assert row.outcome == "enrolled", row
    assert plan is not None
    (only,) = plan["medicines"][0]["steps"]
    assert [(one["slot"], one["quantity"], one["weekdays"]) for one in only["doses"]] == [
        ("t0800", "1", []),
        ("t2100", "2", []),
        ("t1200", "1", [7]),
    ]
    check_plan(plan)


def test_the_code_is_rxnorms_where_there_is_one_contained_or_in_the_files() -> None:
    ndc = {"system": "http://hl7.org/fhir/sid/ndc", "code": "1"}
    rx = {"system": orders.RXNORM, "code": "28439", "display": "lamotrigine"}
    medication = {"resourceType": "Medication", "id": "med", "code": {"coding": [ndc, rx]}}
    by_reference: dict[str, Any] = {"medicationCodeableConcept": None, "medicationReference": {"reference": "#med"}}
    _, plan = orders.enrolled(dosage(often(1)), contained=[medication], **by_reference)
    assert plan is not None
    assert plan["medicines"][0]["code"] == rx
    by_reference["medicationReference"] = {"reference": "Medication/med"}
    _, rows = orders.read(
        orders.in_bundle(medication, orders.patient(), orders.consent(), orders.request(dosage(often(1)), **by_reference))
    )
    assert {row.outcome for row in rows} == {"enrolled"}


def test_an_old_order_keeps_its_rhythm_and_fits_into_one_plan_with_a_new_one() -> None:
    old = orders.request(dosage(often(1, 2)), id="old", authoredOn="2009-03-02")
    patients, rows = orders.read(orders.in_bundle(orders.patient(), orders.consent(), old, orders.request(dosage(often(1)))))
    assert {row.outcome for row in rows} == {"enrolled"}
    plan = patients[0].plan
    assert plan is not None
    check_plan(plan)
    starts = {one["id"]: one["starts_on"] for one in plan["medicines"]}
    assert (datetime.fromisoformat(starts["old"]) - datetime.fromisoformat("2009-03-02")).days % 2 == 0
    assert "2021-11-20" <= starts["old"] < "2021-12-05"


def test_without_any_first_day_the_plan_says_that_it_assumes_today() -> None:
    patients, _ = orders.read(
        orders.in_bundle(orders.patient(), orders.consent(), orders.request(dosage(often(1)), authoredOn=None))
    )
    assert patients[0].starts_assumed
    assert patients[0].plan is not None
    assert patients[0].plan["starts_on"] == "2026-11-23"
    patients, _ = orders.read(orders.in_bundle(orders.patient(), orders.consent(), orders.request(dosage(often(1)))))
    assert not patients[0].starts_assumed
    assert patients[0].plan is not None
    assert patients[0].plan["starts_on"] == "2026-11-20"
