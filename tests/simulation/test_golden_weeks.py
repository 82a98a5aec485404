"""Whole weeks on simulated time against a golden timeline: every text on the patient's and the clinicians' phones and every
outcome, of a plan in which the patient answers for four days and then falls silent.

Days count from the plan's first; times are the patient's own. To write the file anew after a wanted change: run with
UPDATE_GOLDEN=1, read the difference as a clinician would, and commit it.
"""

from __future__ import annotations

import os
import re
from datetime import date, datetime, timedelta
from pathlib import Path

from tests.simulation.clinic import Clinic, Patient, Staff, Text

GOLDEN = Path(__file__).with_name("golden") / "two_weeks_of_a_titration.txt"
OUTCOMES = re.compile(r"^(dose-(taken|skipped|missed|unknown|changed)|check-in-\w+|follow-up-(?!due)\w+|alert-\w+)$")
CODE = re.compile(r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{4,6}\b")


def test_two_weeks_of_a_titration_with_four_answers_then_silence(clinic: Clinic) -> None:
    prescriber, on_call = clinic.staff("prescriber"), clinic.staff("coordinator")
    patient = clinic.patient("America/New_York", chain=((prescriber, "PT2H"), (on_call, "PT2H")))
    first_day = patient.today() + timedelta(days=1)
    patient.start(titration(patient))
    for _ in range(4):
        patient.advance(1, "08:05")
        patient.reply("1")
    clinic.advance(datetime.combine(first_day + timedelta(days=14), datetime.min.time(), patient.zone))
    lines = story(patient, {"patient": patient, "prescriber": prescriber, "on-call": on_call}, first_day)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(lines, "utf-8")
    assert lines == GOLDEN.read_text("utf-8")


def titration(patient: Patient) -> dict[str, object]:
    """One tablet, two from day 8; a check-in on day 7; a follow-up on day 10 that must be on record by day 12."""
    steps = [
        {"from_day": day, "doses": [{"slot": "morning", "quantity": quantity, "unit": "tablet"}]}
        for day, quantity in ((1, "1"), (8, "2"))
    ]
    return patient.plan(
        medicines=[patient.medicine(steps=steps, kind="titration")],
        check_ins=[{
            "id": "mood", "instrument": "mood", "item": "mood", "first_day": 7, "every_days": 7, "time": "17:00",
            "answer_within": "PT24H",
        }],
        follow_ups=[{"id": "first-review", "due_day": 10, "deadline_day": 12, "time": "10:00"}],
    )  # fmt: skip


def story(patient: Patient, phones: dict[str, Patient | Staff], first_day: date) -> str:
    """Texts and outcomes in the order in which they happened, one a line, without what differs from run to run."""
    found: list[tuple[datetime, str]] = []
    for who, owner in phones.items():
        found += [(text.at, told(who, text)) for text in patient.clinic.texts(owner.number) if "HELP" not in text.body]
    found += [
        (datetime.fromisoformat(event["at"]), f"        = {event['kind']}")
        for event in patient.timeline()
        if OUTCOMES.match(event["kind"])
    ]
    lines = [f"{stamp(at, patient, first_day)} {line}" for at, line in found]
    return "\n".join(sorted(lines)) + "\n"


def told(who: str, text: Text) -> str:
    arrow = "->" if text.direction == "outbound" else "<-"
    body = re.sub(r"https?://\S+", "LINK", CODE.sub("CODE", text.body))
    return f"{arrow} {who}: {body}"


def stamp(at: datetime, patient: Patient, first_day: date) -> str:
    local = at.astimezone(patient.zone)
    return f"day {(local.date() - first_day).days + 1:02d} {local:%H:%M}"
