"""Who is in a rehearsal: the files' people as they are, the rest made up and said so, and nothing denied is assumed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.notifier import numbers
from steadypath.enrol import sources
from steadypath.enrol.intake import Setting
from steadypath.rehearse.cast import Cast, cast

START = date(2027, 3, 8)
EXAMPLES = Path(__file__).parents[3] / "examples"
REQUEST = """{"resourceType": "MedicationRequest", "id": "%s", "status": "active", "intent": "order", %s
 "medicationCodeableConcept": {"text": "a tablet"},
 "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}]}"""
NATIVE = """
steadypath: 1
patients:
  - id: ada
    name: Ada
    %s
    plan:
      slots: { morning: "08:00" }
      medicines:
        - id: m
          steps: [ { from_day: 1, doses: [ { slot: morning, quantity: "1", unit: tablet } ] } ]
"""


def read(*files: Path, zone: str | None = None) -> Cast:
    setting = Setting(today=START, assumed_zone=zone)
    reading = sources.read(sources.open_all([str(file) for file in files]), setting, {})
    return cast(reading, START, zone or "America/New_York", "US")


def written(tmp_path: Path, name: str, text: str) -> Path:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file


def test_whom_the_files_hold_stays_as_they_are() -> None:
    found = read(EXAMPLES / "titration.yaml")
    (maya,) = found.players
    assert (maya.id, maya.zone, maya.number) == ("maya", "America/New_York", "+12025550141")
    assert found.assumed == ()
    assert maya.lot.intake.plan is not None
    assert maya.lot.intake.plan["starts_on"] == "2027-03-08"


def test_requests_without_a_patient_get_made_up_ones(tmp_path: Path) -> None:
    subject = '"subject": {"reference": "Patient/pat1"},'
    files = [written(tmp_path, f"{name}.json", REQUEST % (name, subject)) for name in ("one", "two")]
    found = read(*files, zone="Asia/Tokyo")
    (player,) = found.players
    assert (player.id, player.called, player.zone) == ("rehearsal-1", "pat1", "Asia/Tokyo")
    assert player.lot.intake.plan is not None
    assert len(player.lot.intake.plan["medicines"]) == 2
    assert player.number is not None
    assert numbers.e164(player.number, country=None, element="phone") == player.number
    said = " ".join(found.assumed)
    assert "rehearsal-1 is made up" in said
    assert "consent" in said
    assert "care team of rehearsal-1" in said


def test_consent_and_zone_are_assumed_and_said(tmp_path: Path) -> None:
    found = read(written(tmp_path, "a.yaml", NATIVE % 'phone: "+12025550143"'), zone="Europe/Paris")
    (ada,) = found.players
    contact = ada.lot.intake.contact
    assert contact is not None
    assert contact["consent"]["given_on"] == "2027-03-08"
    assert ada.zone == "Europe/Paris"
    assert any("Consent is assumed for ada" in one for one in found.assumed)
    assert any("ada is taken to be in Europe/Paris" in one for one in found.assumed)


def test_a_consent_of_later_is_as_good_as_none_yet(tmp_path: Path) -> None:
    consent = 'phone: "+12025550143"\n    zone: Europe/Paris\n    consent: { given_on: 2027-06-01, how: form, to_whom: desk }'
    found = read(written(tmp_path, "a.yaml", NATIVE % consent))
    assert any("Consent is assumed for ada" in one for one in found.assumed)


def test_a_consent_that_was_denied_stays_denied(tmp_path: Path) -> None:
    found = read(written(tmp_path, "a.yaml", NATIVE % 'phone: "+12025550143"\n    zone: Europe/Paris\n    consent: null'))
    contact = found.players[0].lot.intake.contact
    assert contact is not None
    assert contact["consent"] is None
    assert any("none go" in one for one in found.assumed)


def test_whom_a_care_team_names_and_nobody_holds_is_made_up(tmp_path: Path) -> None:
    team = 'phone: "+12025550143"\n    zone: Europe/Paris\n    care_team: [ { person: dr-x, wait: PT30M } ]'
    found = read(written(tmp_path, "a.yaml", NATIVE % team))
    (person,) = found.people
    assert person.id == "dr-x"
    assert any("dr-x of the care team is made up" in one for one in found.assumed)


def test_made_up_numbers_are_nobodys_and_never_twice(tmp_path: Path) -> None:
    files = [
        written(tmp_path, f"{n}.json", REQUEST % (f"r{n}", f'"subject": {{"reference": "Patient/p{n}"}},')) for n in range(40)
    ]
    found = [one.number for one in read(*files).players]
    assert len(set(found)) == 40
    assert all(one is not None and one[5:10] == "55501" for one in found)


@pytest.mark.parametrize("broken", ["", "steadypath: 1\npatients: [ {", "\x00\x01"])
def test_what_cannot_be_read_leaves_nobody(tmp_path: Path, broken: str) -> None:
    found = read(written(tmp_path, "a.yaml", broken))
    assert found.players == ()
    assert [row.outcome for row in found.loose] == ["refused"]


def test_a_patient_of_both_formats_is_there_once(tmp_path: Path) -> None:
    native = written(tmp_path, "a.yaml", NATIVE % 'phone: "+12025550143"\n    zone: Europe/Paris')
    fhir = written(tmp_path, "b.json", REQUEST % ("r1", '"subject": {"reference": "Patient/ada"},'))
    found = read(native, fhir)
    assert [(one.id, one.zone) for one in found.patients] == [("ada", "Europe/Paris")]
    assert [row.outcome for one in found.players if not one.id for row in one.lot.intake.rows] == ["refused"]


def test_neither_a_made_up_id_nor_a_made_up_number_is_one_of_the_files(tmp_path: Path) -> None:
    stated = (NATIVE % 'phone: "(202) 555-0101"\n    zone: Europe/Paris').replace("id: ada", "id: rehearsal-1")
    request = written(tmp_path, "b.json", REQUEST % ("r1", '"subject": {"reference": "Patient/p1"},'))
    found = read(written(tmp_path, "a.yaml", stated), request)
    assert [one.id for one in found.patients] == ["rehearsal-1", "rehearsal-2"]
    assert "+12025550101" not in {one.number for one in found.patients if one.called}
