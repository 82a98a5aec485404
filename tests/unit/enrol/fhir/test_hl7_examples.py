"""HL7's own orders (CC0), as they are: each goes in, is a draft for want of its patient, or is refused by the right element."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.enrol import orders

D = "MedicationRequest.dosageInstruction"
#: file, outcome, element, times
EXAMPLES = [
    ("MedicationRequest-medrx0301.json", "refused", "MedicationRequest.status", None),
    ("MedicationRequest-medrx0303.json", "refused", f"{D}[0].timing.repeat.boundsPeriod.end", None),
    ("MedicationRequest-medrx0305.json", "refused", "MedicationRequest.status", None),
    ("MedicationRequest-medrx0310.json", "refused", f"{D}[0].doseAndRate[0].doseRange", None),
    ("MedicationRequest-medrx0311.json", "draft", "MedicationRequest.subject", ("09:00",)),
    ("MedicationRequest-medrx0313.json", "refused", "MedicationRequest.status", None),
    ("MedicationRequest-medrx0321.json", "refused", f"{D}[1].timing.repeat.when", None),
    ("MedicationRequest-medrx0331.json", "draft", "MedicationRequest.subject", ("09:00",)),
    ("MedicationRequest-medrx0333.json", "refused", f"{D}[0].doseAndRate[0].doseRange", None),
    ("MedicationRequest-medrx0335.json", "draft", "MedicationRequest.subject", ("09:00",)),
    ("ActivityDefinition-citalopramPrescription.json", "refused", "resourceType", None),
    ("CarePlan-gpvisit.json", "refused", "resourceType", None),
    ("PlanDefinition-low-suicide-risk-order-set.json", "refused", "resourceType", None),
    ("Questionnaire-phq-9-questionnaire.json", "refused", "resourceType", None),
]


def _load(name: str) -> Any:
    path = orders.hl7(name)
    if not path.exists():
        pytest.skip("not run: data absent")
    return json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(("name", "outcome", "element", "times"), EXAMPLES)
def test_as_published(name: str, outcome: str, element: str, times: tuple[str, ...] | None) -> None:
    _, rows = orders.read(_load(name))
    (row,) = rows
    assert (row.outcome, row.element) == (outcome, element)
    assert row.accepted
    assert tuple(slot.times for slot in row.slots) == (() if times is None else (times,))


#: What the examples that are over would be if they were in force: their status hides what is wrong with them.
IN_FORCE = [
    ("MedicationRequest-medrx0301.json", f"{D}[0].doseAndRate[0].doseRange", "prescriber must decide"),
    ("MedicationRequest-medrx0305.json", f"{D}[0].timing.repeat.periodMax", "prescriber must decide"),
    ("MedicationRequest-medrx0313.json", f"{D}[0].timing.repeat.bounds[x]", "The text says for 5 days; the timing says no end"),
]


@pytest.mark.parametrize(("name", "element", "reason"), IN_FORCE)
def test_if_it_were_in_force(name: str, element: str, reason: str) -> None:
    _, rows = orders.read(_load(name) | {"status": "active"})
    assert (rows[0].outcome, rows[0].element) == ("refused", element)
    assert reason in (rows[0].reason or "")


def test_five_days_beside_for_seven_names_both_readings() -> None:
    _, rows = orders.read(_load("MedicationRequest-medrx0303.json"))
    assert rows[0].reason == "The text says for 7 days; the timing says for 5 days."


def test_on_hold_goes_in_paused() -> None:
    patients, rows = orders.read(_load("MedicationRequest-medrx0335.json"))
    assert rows[0].paused
    assert patients[0].paused
    assert patients[0].id == "pat1"


def test_no_row_quotes_what_can_identify() -> None:
    for name, *_ in EXAMPLES:
        _, rows = orders.read(_load(name))
        said = " ".join(json.dumps(row.as_json()) + row.line() for row in rows)
        for secret in ("Donald", "Duck", "Pump", "12345689", "Prednisone", "Warfarin", "Novolog", "Tylenol", "Oxycodone"):
            assert secret not in said
