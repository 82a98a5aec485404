"""Reads a sample file and says it to the services. Repeating it changes nothing: who has a plan is left as they are.

Days in the files count from the sample's first day: "starts: -5" is a plan that began five days before it, so that each patient
stands at another point of the plan whenever the sample is started. That day is the next that has not begun yet: at whatever hour
somebody starts, all of it lies ahead.
"""

from __future__ import annotations

import os
from datetime import date, datetime, time, timedelta
from importlib.resources import files
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

from shared.clock import machine_now
from shared.events.base import stable_id
from steadypath.client import Client, ProblemError

#: Local: the first text of the sample's day goes at 08:00.
_DAY_BEGINS = time(7, 45)


def read(what: str) -> dict[str, Any]:
    """What stands in "clinic" or "patients"."""
    found: dict[str, Any] = yaml.safe_load(files("steadypath.sample").joinpath(f"{what}.yaml").read_text("utf-8"))
    return found


def load(client: Client, what: str) -> None:
    """`what`: "clinic" or "patients". Raises CommandError with the first refusal."""
    content = read(what)
    for service, body in content.get("clinic", {}).items():
        client.put(f"/{service}/clinic", body)
    for person in content.get("people", []):
        client.put(f"/notifier/people/{person.pop('id')}", person)
    patients = [patient for patient in content.get("patients", []) if not _has_plan(client, patient["id"])]
    if not patients:
        return
    _faults(client, content["faults"])
    today = first_day(_clinical_now(client), ZoneInfo(content["zone"]))
    for patient in patients:
        _patient(client, patient, today)


def _has_plan(client: Client, patient: str) -> bool:
    """A plan is what is put last: who has one has all the rest."""
    try:
        client.get(f"/scheduler/patients/{patient}/plan")
    except ProblemError as error:
        if error.status != 404:
            raise
        return False
    return True


def first_day(now: datetime, zone: ZoneInfo) -> date:
    """The sample's first day when it is loaded at `now` (aware): today in `zone`, or tomorrow where today has begun."""
    local = now.astimezone(zone)
    return local.date() if local.time() < _DAY_BEGINS else local.date() + timedelta(days=1)


def _clinical_now(client: Client) -> datetime:
    try:
        return datetime.fromisoformat(client.get("/clock")["now"])
    except ProblemError as error:
        if error.status != 404:
            raise
        return machine_now()  # a stack without a launcher (containers) runs on real time


def _faults(client: Client, faults: list[dict[str, Any]]) -> None:
    """Not over faults that somebody has switched on; no simulator (a real provider) = no fault."""
    try:
        if not client.get("/phone/faults").get("faults"):
            client.put("/phone/faults", {"faults": faults})
    except ProblemError as error:
        if error.status not in (404, 405):
            raise


def _patient(client: Client, patient: dict[str, Any], today: date) -> None:
    """Contact and labels before the plan: the first text may be due at once."""
    identity, plan = patient["id"], patient["plan"]
    contact = patient["contact"]
    contact["consent"]["given_on"] = (today + timedelta(days=plan["starts"])).isoformat()
    client.put(f"/notifier/patients/{identity}", contact)
    for medicine in plan.get("medicines", []):
        label = medicine.pop("label", None)
        if label is not None:
            path = f"/notifier/medications/{_medication_id(identity, medicine['id'])}/label"
            client.put(path, {"text": label, "patient": identity})
    if "care_team" in patient:
        client.put(f"/adherence/patients/{identity}/care-team", {"chain": patient["care_team"]})
    first_day = today + timedelta(days=plan.pop("starts"))
    plan["starts_on"] = first_day.isoformat()
    for medicine in plan.get("medicines", []):
        if "ends_on_day" in medicine:
            medicine["ends_on"] = (first_day + timedelta(days=medicine.pop("ends_on_day") - 1)).isoformat()
    for appointment in plan.get("appointments", []):
        day = today + timedelta(days=appointment.pop("day"))
        appointment["starts_at"] = f"{day.isoformat()}T{appointment.pop('time')}"
    client.put(f"/scheduler/patients/{identity}/plan", plan)


def _medication_id(patient: str, medicine: str) -> UUID:
    """As the scheduler makes it: from clinic, patient and medicine (the key belongs to one clinic)."""
    clinic = stable_id("clinic", os.environ.get("STEADYPATH_CLINIC") or "clinic")
    return stable_id(clinic, "medication", patient, medicine)
