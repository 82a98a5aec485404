"""Patients with three doses a day, and what stood on their phones at which hour."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.simulation.clinic import Clinic, Json, Patient, Text

#: Dose texts at these hours, every day.
SLOTS = {"morning": "08:00", "noon": "12:00", "evening": "18:00"}


def plan(patient: Patient, **parts: Any) -> Json:
    doses = [{"slot": slot, "quantity": "1", "unit": "tablet"} for slot in SLOTS]
    return patient.plan(slots=SLOTS, medicines=[patient.medicine(steps=[{"from_day": 1, "doses": doses}])], **parts)


def three_a_day(clinic: Clinic) -> Patient:
    patient = clinic.patient()
    patient.start(plan(patient))
    return patient


def hours(patient: Patient) -> Counter[str]:
    """Day and hour of each text on the phone that came when a dose is due, in the patient's zone."""
    times = (text.at.astimezone(patient.zone).strftime("%d %H:%M") for text in patient.texts())
    return Counter(time for time in times if time[3:] in SLOTS.values())


def everything(*patients: Patient) -> list[list[Text]]:
    """All that stands on the phones, the welcome excepted, at whatever time it came."""
    return [patient.texts() for patient in patients]


def texts_a_slot(*patients: Patient) -> int:
    """How many texts the fullest slot of any of them has had: one, or something was sent twice."""
    return max(count for patient in patients for count in hours(patient).values())
