"""The care team, its people, and appointments: what stands around the medicines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.enrol import orders
from tests.unit.enrol.orders import consent, dosage, often, one, patient, request, row_of

PRACTITIONER: dict[str, Any] = {
    "resourceType": "Practitioner",
    "id": "dr",
    "name": [{"family": "Lindgren"}],
    "telecom": [{"system": "sms", "value": "+12025550101"}],
}
TEAM: dict[str, Any] = {
    "resourceType": "CareTeam",
    "id": "team",
    "status": "active",
    "subject": {"reference": "Patient/rosa"},
    "participant": [{"member": {"reference": "Patient/rosa"}}, {"member": {"reference": "Practitioner/dr"}}],
}


def test_the_care_team_and_its_people() -> None:
    order = request(dosage(often(1)), requester={"reference": "Practitioner/dr"})
    found, rows = one(patient(), consent(), PRACTITIONER, TEAM, order)
    assert {row.outcome for row in rows} == {"enrolled"}
    assert found.care_team == ({"person": "dr"},)


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"status": "inactive"}, "CareTeam.status"),
        ({"participant": None}, "CareTeam.participant"),
        ({"participant": [{"member": {"reference": "Practitioner/no"}}]}, "CareTeam.participant[0].member"),
    ],
)
def test_what_is_no_care_team(changes: Any, element: str) -> None:
    _, rows = one(
        patient(), consent(), PRACTITIONER, {key: value for key, value in (TEAM | changes).items() if value is not None}
    )
    assert (row_of(rows, "CareTeam/team").outcome, row_of(rows, "CareTeam/team").element) == ("refused", element)


def test_a_practitioner_without_a_phone_is_a_draft() -> None:
    _, rows = orders.read({key: value for key, value in PRACTITIONER.items() if key != "telecom"})
    assert (rows[0].outcome, rows[0].element) == ("draft", "Practitioner.telecom")


APPOINTMENT: dict[str, Any] = {
    "resourceType": "Appointment",
    "id": "visit",
    "status": "booked",
    "start": "2026-12-07T15:00:00Z",
    "end": "2026-12-07T15:30:00Z",
    "participant": [
        {"actor": {"reference": "Practitioner/dr"}, "status": "accepted"},
        {"actor": {"reference": "Patient/rosa"}, "status": "accepted"},
    ],
}


def test_an_appointment_is_at_the_clinics_wall_time() -> None:
    found, rows = one(patient(), consent(), APPOINTMENT)
    assert row_of(rows, "Appointment/visit").outcome == "enrolled"
    assert found.plan["appointments"] == [{"id": "visit", "starts_at": "2026-12-07T10:00", "zone": "America/New_York"}]


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"status": "cancelled"}, "Appointment.status"),
        ({"start": None, "end": None}, "Appointment.start"),
        ({"start": "2026-11-01T15:00:00Z"}, "Appointment.start"),
    ],
)
def test_what_is_no_appointment_to_come(changes: Any, element: str) -> None:
    _, rows = one(patient(), consent(), {key: value for key, value in (APPOINTMENT | changes).items() if value is not None})
    assert (row_of(rows, "Appointment/visit").outcome, row_of(rows, "Appointment/visit").element) == ("refused", element)
