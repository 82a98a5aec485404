"""FHIR resources for tests, made of their parts: a request that is in force, and whatever a test changes in it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from steadypath.enrol import files
from steadypath.enrol.fhir import bundle
from steadypath.enrol.intake import PatientIntake, Setting
from steadypath.enrol.outcome import Row

Json = dict[str, Any]
TODAY = date(2026, 11, 23)  # a Monday
SETTING = Setting(today=TODAY)
DAILY: Json = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
TABLET: Json = {"doseAndRate": [{"doseQuantity": {"value": 1, "unit": "TAB"}}]}
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def dosage(timing: Json | None = None, text: str | None = None, **more: Any) -> Json:
    found = {**TABLET, **more}
    if timing is not None:
        found["timing"] = timing
    if text is not None:
        found["text"] = text
    return found


def repeat(**parts: Any) -> Json:
    return {"repeat": parts}


def often(frequency: int, period: float = 1, unit: str = "d", **more: Any) -> Json:
    return repeat(frequency=frequency, period=period, periodUnit=unit, **more)


def coded(code: str, **parts: Any) -> Json:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "code": code}
    return {"code": {"coding": [coding]}} | ({"repeat": parts} if parts else {})


def request(*dosages: Json, **more: Any) -> Json:
    found: Json = {
        "resourceType": "MedicationRequest",
        "id": "order",
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-11-20",
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": "321988", "display": "escitalopram"}]},
        "subject": {"reference": "Patient/rosa"},
        "dosageInstruction": list(dosages),
    }
    return {key: value for key, value in (found | more).items() if value is not None}


def patient(**more: Any) -> Json:
    found: Json = {
        "resourceType": "Patient",
        "id": "rosa",
        "name": [{"use": "official", "family": "Delgado", "given": ["Rosa"]}],
        "telecom": [{"system": "phone", "use": "mobile", "value": "+12025550111"}],
        "address": [{"use": "home", "country": "US", "state": "NY"}],
    }
    return {key: value for key, value in (found | more).items() if value is not None}


def consent(**more: Any) -> Json:
    found: Json = {
        "resourceType": "Consent",
        "id": "yes",
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"text": "texts about the treatment"}],
        "policyRule": {"text": "clinic"},
        "patient": {"reference": "Patient/rosa"},
        "dateTime": "2026-11-02",
        "provision": {"type": "permit"},
    }
    return {key: value for key, value in (found | more).items() if value is not None}


def in_bundle(*resources: Json, kind: str = "collection") -> Json:
    entries = [
        {"fullUrl": f"https://clinic.example/fhir/{one['resourceType']}/{one.get('id')}", "resource": one} for one in resources
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def read_text(text: str, kind: files.Kind = "json", setting: Setting = SETTING) -> tuple[list[PatientIntake], list[Row]]:
    """All patients and all rows of one FHIR document."""
    found = bundle.read([("file.json", files.Document(kind, text))], setting)
    patients = list(found.patients)
    rows = [*found.rows, *(person.row for person in found.people), *(row for one in patients for row in one.rows)]
    return patients, rows


def read(value: Any, setting: Setting = SETTING) -> tuple[list[PatientIntake], list[Row]]:
    return read_text(json.dumps(value), setting=setting)


def row_of(rows: list[Row], item: str) -> Row:
    return next(row for row in rows if row.item == item)


def one(*resources: Json, setting: Setting = SETTING) -> tuple[Any, list[Row]]:
    """The first patient of a Bundle of these resources, and all rows."""
    patients, rows = read(in_bundle(*resources), setting)
    return patients[0], rows


def enrolled(*dosages: Json, setting: Setting = SETTING, **more: Any) -> tuple[Row, Json | None]:
    """The row of one request whose patient has all that is needed, and their plan."""
    patients, rows = read(in_bundle(patient(), consent(), request(*dosages, **more)), setting)
    return row_of(rows, "MedicationRequest/order"), patients[0].plan


def hl7(name: str) -> Path:
    """One of HL7's own examples, beside this repository; there may be none."""
    return Path(__file__).parents[4] / "shared" / "data" / "fhir-r4" / name
