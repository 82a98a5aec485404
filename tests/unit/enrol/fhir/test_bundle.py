"""Who goes in, who is a draft and for want of what, how references resolve, and that no row names a person."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from steadypath.enrol.intake import ConsentGiven
from tests.unit.enrol import orders
from tests.unit.enrol.orders import consent, dosage, in_bundle, often, one, patient, request, row_of

ZONE = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "America/Chicago"}
DAILY = request(dosage(often(1)))


def test_a_patient_with_all_that_is_needed() -> None:
    found, rows = one(patient(), consent(), DAILY)
    assert {row.outcome for row in rows} == {"enrolled"}
    assert found.contact == {
        "name": "Rosa Delgado",
        "phone": "+12025550111",
        "privacy": "discreet",
        "country": "US",
        "consent": {"given_on": "2026-11-02", "how": "FHIR Consent/yes", "to_whom": "the clinic"},
    }
    assert found.plan["zone"] == "America/New_York"


@pytest.mark.parametrize(
    ("changes", "element", "zone"),
    [
        ({"telecom": None}, "Patient.telecom", "America/New_York"),
        ({"telecom": [{"system": "email", "value": "a@example.org"}]}, "Patient.telecom", "America/New_York"),
        ({"telecom": [{"system": "phone", "use": "home", "value": "+12025550111"}]}, "Patient.telecom", "America/New_York"),
        ({"telecom": [{"system": "phone", "use": "old", "value": "+12025550111"}]}, "Patient.telecom", "America/New_York"),
        ({"address": None}, "Patient.extension(timezone)", None),
        ({"address": [{"country": "CA"}]}, "Patient.extension(timezone)", None),
        ({"address": [{"country": "US", "use": "old"}]}, "Patient.extension(timezone)", None),
        ({"address": None, "telecom": None}, "Patient.telecom, Patient.extension(timezone)", None),
        ({"address": [{"country": "usa"}]}, None, "America/New_York"),
        ({"address": [{"country": "CA"}], "extension": [ZONE]}, None, "America/Chicago"),
        ({"telecom": [{"system": "sms", "value": "(202) 555-0111"}]}, None, "America/New_York"),
    ],
)
def test_what_is_missing_makes_a_draft(changes: Any, element: str | None, zone: str | None) -> None:
    found, rows = one(patient(**changes), consent(), DAILY)
    for item in ("Patient/rosa", "MedicationRequest/order"):
        row = row_of(rows, item)
        assert (row.outcome, row.element) == ("draft" if element else "enrolled", element)
    assert found.plan.get("zone") == zone
    assert row_of(rows, "MedicationRequest/order").slots


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"telecom": [{"system": "sms", "value": "12"}]}, "Patient.telecom[0].value"),
        ({"extension": [{**ZONE, "valueCode": "Mars/Olympus"}]}, "Patient.extension(timezone).valueCode"),
        ({"extension": [ZONE, ZONE]}, "Patient.extension(timezone).valueCode"),
        ({"active": False}, "Patient.active"),
        ({"deceasedBoolean": True}, "Patient.deceased[x]"),
        ({"deceasedDateTime": "2026-01-01"}, "Patient.deceased[x]"),
        ({"link": [{"other": {"reference": "Patient/b"}, "type": "replaced-by"}]}, "Patient.link"),
        ({"birthDate": "1990-02-31"}, "Patient.birthDate"),
        ({"gender": 5}, "Patient.gender"),
        ({"animal": {}}, "Patient.animal"),
    ],
)
def test_a_refused_patient_takes_the_requests_along(changes: Any, element: str) -> None:
    found, rows = one(patient(**changes), consent(), DAILY)
    assert (row_of(rows, "Patient/rosa").outcome, row_of(rows, "Patient/rosa").element) == ("refused", element)
    assert row_of(rows, "MedicationRequest/order").element == "MedicationRequest.subject"
    assert {row.outcome for row in rows} == {"refused"}
    assert found.plan is None


def test_without_consent_it_is_a_draft_and_the_option_gives_it() -> None:
    _, rows = one(patient(), DAILY)
    assert {(row.outcome, row.element) for row in rows} == {("draft", "Consent")}
    setting = replace(orders.SETTING, consent=ConsentGiven(date(2026, 11, 23), "signed form", "Jamie Park"))
    found, rows = one(patient(), DAILY, setting=setting)
    assert {row.outcome for row in rows} == {"enrolled"}
    assert found.contact["consent"] == {"given_on": "2026-11-23", "how": "signed form", "to_whom": "Jamie Park"}


def test_a_denial_stands_against_the_option() -> None:
    setting = replace(orders.SETTING, consent=ConsentGiven(date(2026, 11, 23), "signed form", "Jamie Park"))
    found, rows = one(patient(), DAILY, consent(provision={"type": "deny"}), setting=setting)
    assert found.contact["consent"] is None
    assert row_of(rows, "Consent/yes").element == "Consent.provision.type"
    assert row_of(rows, "MedicationRequest/order").element == "Consent"


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"status": "inactive"}, "Consent.status"),
        ({"provision": None}, "Consent.provision.type"),
        ({"provision": {"type": "permit", "provision": [{"type": "deny"}]}}, "Consent.provision.provision"),
        ({"provision": {"type": "permit", "period": {"end": "2026-11-01"}}}, "Consent.provision.period"),
        ({"dateTime": None}, "Consent.dateTime"),
        ({"dateTime": "2027-01-01"}, "Consent.dateTime"),
        ({"scope": {"coding": [{"code": "research"}]}}, "Consent.scope"),
        ({"verification": [{"verified": False}]}, "Consent.verification.verified"),
    ],
)
def test_what_is_no_consent(changes: Any, element: str) -> None:
    _, rows = one(patient(), DAILY, consent(**changes))
    assert (row_of(rows, "Consent/yes").outcome, row_of(rows, "Consent/yes").element) == ("refused", element)
    assert row_of(rows, "Patient/rosa").outcome == "draft"


@pytest.mark.parametrize("subject", [None, {"display": "somebody"}, {"reference": "Patient/other"}, {"reference": "urn:uuid:no"}])
def test_a_request_without_its_patient_is_a_draft(subject: Any) -> None:
    patients, rows = orders.read(request(dosage(often(1)), subject=subject))
    (row,) = rows
    assert (row.outcome, row.element) == ("draft", "MedicationRequest.subject")
    assert row.slots[0].times == ("09:00",)
    assert patients[0].id == ("other" if subject and subject.get("reference") == "Patient/other" else None)
    assert patients[0].plan


URN = "urn:uuid:8c1b5a0e-6d0f-4a5c-9a54-0d5f6a1f3c11"


@pytest.mark.parametrize(
    ("url", "reference"),
    [
        (None, "Patient/rosa"),
        ("https://a.example/fhir/Patient/rosa", "Patient/rosa"),
        ("https://a.example/fhir/Patient/rosa", "https://a.example/fhir/Patient/rosa"),
        ("https://a.example/fhir/Patient/rosa", "Patient/rosa/_history/3"),
        (URN, URN),
    ],
)
def test_references(url: str | None, reference: str) -> None:
    order = request(dosage(often(1)), subject={"reference": reference})
    entries = [{"fullUrl": url, "resource": patient()} if url else {"resource": patient()}, {"resource": consent()}]
    own = {"fullUrl": "https://a.example/fhir/MedicationRequest/order"} if url and url.startswith("http") else {}
    value = {"resourceType": "Bundle", "type": "collection", "entry": [*entries, {**own, "resource": order}]}
    _, rows = orders.read(value)
    assert {row.outcome for row in rows} == {"enrolled"}, rows


@pytest.mark.parametrize("reference", ["https://b.example/fhir/Patient/rosa", "https://b.example/fhir/Patient/other"])
def test_an_id_of_another_server_is_not_the_patient_of_that_id_here(reference: str) -> None:
    patients, rows = orders.read(in_bundle(patient(), consent(), request(dosage(often(1)), subject={"reference": reference})))
    assert row_of(rows, "MedicationRequest/order").element == "MedicationRequest.subject"
    assert [(each.id, each.plan is not None) for each in patients] == [("rosa", False), (None, True)]


def test_a_relative_reference_stays_on_its_own_server() -> None:
    order = {"fullUrl": "https://b.example/fhir/MedicationRequest/order", "resource": DAILY}
    here = {"fullUrl": "https://a.example/fhir/Patient/rosa", "resource": patient()}
    patients, rows = orders.read({"resourceType": "Bundle", "type": "collection", "entry": [here, order]})
    assert row_of(rows, "MedicationRequest/order").element == "MedicationRequest.subject"
    assert [(each.id, each.plan is not None) for each in patients] == [("rosa", False), (None, True)]


def test_a_transaction_of_resources_that_have_no_ids_yet() -> None:
    new = patient(id=None)
    entries = [
        {"fullUrl": URN, "resource": new, "request": {"method": "POST", "url": "Patient"}},
        {
            "resource": request(dosage(often(1)), id=None, identifier=[{"value": "rx-77"}], subject={"reference": URN}),
            "request": {"method": "POST", "url": "MedicationRequest"},
        },
        {"resource": {"resourceType": "Patient", "id": "gone"}, "request": {"method": "DELETE", "url": "Patient/gone"}},
    ]
    _, rows = orders.read({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert row_of(rows, f"Patient/{URN[9:]}").outcome == "draft"
    assert row_of(rows, "MedicationRequest/rx-77").element == "Consent"
    assert (row_of(rows, "Patient/gone").outcome, row_of(rows, "Patient/gone").element) == (
        "refused",
        "Bundle.entry[2].request.method",
    )


def test_two_different_resources_with_one_id_are_both_refused_and_the_same_twice_is_one() -> None:
    other = request(dosage(often(2)))
    _, rows = orders.read(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in (DAILY, other)]}
    )
    assert [(row.outcome, row.element) for row in rows] == [("refused", "MedicationRequest.id")] * 2
    _, rows = orders.read(
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in (DAILY, DAILY)]}
    )
    assert [row.outcome for row in rows] == ["draft"]


@pytest.mark.parametrize(
    ("value", "element"),
    [
        ({"resourceType": "Bundle", "type": "history"}, "Bundle.type"),
        ({"resourceType": "Bundle"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "collection", "entry": {}}, "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{}]}, "Bundle.entry[0].resource"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"a": 1}}]}, "resourceType"),
        (
            {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": "Observation"}}]},
            "resourceType",
        ),
        ({"hello": 1}, "resourceType"),
        ({"resourceType": 5}, "resourceType"),
        ({"resourceType": "Patient"}, "Patient.id"),
        ({"resourceType": "Patient", "id": "a b"}, "Patient.id"),
    ],
)
def test_what_is_no_bundle_or_no_resource(value: Any, element: str) -> None:
    _, rows = orders.read(value)
    assert [(row.outcome, row.element) for row in rows] == [("refused", element)]
    assert rows[0].accepted


def test_ndjson_is_a_resource_a_line() -> None:
    text = "\n".join(json.dumps(each) for each in (patient(), consent(), DAILY)) + "\n\n"
    _, rows = orders.read_text(text, "ndjson")
    assert {row.outcome for row in rows} == {"enrolled"}
    _, rows = orders.read_text(text[:-20], "ndjson")
    assert [(row.outcome, row.item) for row in rows] == [("refused", None)]


def test_on_hold_goes_in_paused_and_beside_others_in_force_is_refused() -> None:
    held = request(dosage(often(1)), id="held", status="on-hold")
    found, rows = one(patient(), consent(), held)
    assert found.paused
    assert row_of(rows, "MedicationRequest/held").paused
    found, rows = one(patient(), consent(), held, DAILY)
    assert not found.paused
    assert row_of(rows, "MedicationRequest/held").element == "MedicationRequest.status"
    assert row_of(rows, "MedicationRequest/order").outcome == "enrolled"
    assert [medicine["id"] for medicine in found.plan["medicines"]] == ["order"]


def test_the_row_is_exactly_the_charters() -> None:
    row, _ = orders.enrolled(
        dosage(orders.repeat(timeOfDay=["20:00:00", "08:00:00"]), doseAndRate=[{"doseQuantity": {"value": 50, "unit": "mg"}}])
    )
    assert row.as_json() == {
        "file": "file.json",
        "item": "MedicationRequest/order",
        "outcome": "enrolled",
        "paused": False,
        "element": None,
        "reason": None,
        "accepted": None,
        "slots": [
            {
                "times": ["08:00", "20:00"],
                "times_from": "plan",
                "every": "P1D",
                "days": None,
                "until": None,
                "as_needed": False,
                "dose": "50 mg",
            }
        ],
    }


def test_no_row_holds_what_can_identify() -> None:
    broken = [
        patient(telecom=[{"system": "sms", "value": "SECRET1"}]),
        patient(id="b", birthDate="SECRET2"),
        request(dosage(often(1), "SECRET3 twice daily"), id="c", medicationCodeableConcept={"text": "SECRET4"}),
        request(dosage({"repeat": {"timeOfDay": ["SECRET5"]}}), id="d"),
        request(dosage({"repeat": {"frequency": "SECRET6"}}), id="e", status="SECRET7"),
        patient(id="f", extension=[{**ZONE, "valueCode": "SECRET8"}]),
    ]
    _, rows = orders.read(in_bundle(*broken))
    assert len(rows) == len(broken)
    assert all(row.outcome in ("refused", "draft") for row in rows)
    assert "SECRET" not in json.dumps([row.as_json() for row in rows])
    assert "Delgado" not in json.dumps([row.as_json() for row in rows])
