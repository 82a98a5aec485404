"""A replies file: what it says is answered when it should be, and what it cannot mean is refused by place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steadypath.enrol.intake import PatientIntake
from steadypath.enrol.sources import Lot
from steadypath.errors import CommandError
from steadypath.rehearse import replies
from steadypath.rehearse.cast import Player
from steadypath.rehearse.replies import Heard, Script

NOON = datetime(2027, 3, 12, 12, 0, tzinfo=UTC)
MAYA = Player("maya", "America/New_York", "+12025550141", Lot(PatientIntake("maya"), whole=True))
MADE_UP = Player("rehearsal-1", "Europe/Berlin", "+12025550142", Lot(PatientIntake("rehearsal-1"), whole=False), "pat1")


def script(tmp_path: Path, text: str) -> Script:
    file = tmp_path / "replies.yaml"
    file.write_text(text, "utf-8")
    return Script(replies.read(str(file)))


def heard(kind: str, patient: str = "maya", at: datetime = NOON, body: str = "a text") -> Heard:
    return Heard(at, kind, patient, "+12025550141", body)


def test_the_nth_text_of_a_kind_is_answered_after_the_time_said_per_patient(tmp_path: Path) -> None:
    said = script(tmp_path, "- { on: dose-due, nth: 2, after: PT5M, text: 1 }\n")
    assert said.hear(heard("dose-due")) == []
    assert said.hear(heard("dose-due", patient="leo")) == []
    assert said.hear(heard("check-in-due")) == []
    (answer,) = said.hear(heard("dose-due"))
    assert (answer.at, answer.sender, answer.text) == (NOON + timedelta(minutes=5), "+12025550141", "1")
    assert said.hear(heard("dose-due")) == []


def test_every_text_of_a_kind_is_answered(tmp_path: Path) -> None:
    said = script(tmp_path, '- { on: dose-due, nth: every, after: PT1H, text: "2" }\n')
    assert [len(said.hear(heard("dose-due"))) for _ in range(3)] == [1, 1, 1]


def test_the_code_of_an_alert_can_be_answered_with(tmp_path: Path) -> None:
    said = script(tmp_path, '- { on: alert-raised, nth: 1, text: "{code}" }\n')
    (answer,) = said.hear(heard("alert-raised", body="Steadypath A7K2, low: missed check-in. Reply with the code"))
    assert answer.text == "A7K2"


def test_a_time_of_its_own_is_the_patients_local_time(tmp_path: Path) -> None:
    said = script(
        tmp_path, '- { at: 2027-03-14T09:30, patient: maya, text: STOP }\n- { at: 2027-03-14T09:30, patient: pat1, text: "1" }\n'
    )
    answers = said.planned([MAYA, MADE_UP])
    assert [one.at.astimezone(UTC).isoformat() for one in answers] == ["2027-03-14T13:30:00+00:00", "2027-03-14T08:30:00+00:00"]
    assert [one.patient for one in answers] == ["maya", "rehearsal-1"]
    assert not said.listens


@pytest.mark.parametrize(
    ("text", "place", "accepted"),
    [
        ("- { on: dose-dew, nth: 1, text: x }", "[0].on", "dose-due"),
        ("- { on: dose-due, nth: 0, text: x }", "[0].nth", "1"),
        ("- { on: dose-due, nth: 1, after: soon, text: x }", "[0].after", "PT5M"),
        ("- { on: dose-due, nth: 1, after: P9999D, text: x }", "[0].after", "P366D"),
        ("- { on: dose-due, nth: 1 }", "[0].text", "required"),
        ("- { on: dose-due, nth: 1, text: x, who: y }", "[0].who", "no such field"),
        ("- { at: tomorrow, patient: maya, text: x }", "[0].at", "2027-03-14T09:30"),
        ("- { text: x }", "[0]", "on: dose-due"),
        ("on: dose-due", "replies.yaml", "a list"),
        ("- { on: dose-due, nth: 1, text: x", "line", "YAML"),
    ],
)
def test_what_it_cannot_mean_is_refused_with_its_place(tmp_path: Path, text: str, place: str, accepted: str) -> None:
    with pytest.raises(CommandError) as refused:
        script(tmp_path, text)
    assert place in str(refused.value)
    assert accepted in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_patient_is_refused_naming_who_is_there(tmp_path: Path) -> None:
    said = script(tmp_path, "- { at: 2027-03-14T09:30, patient: nobody, text: x }\n")
    with pytest.raises(CommandError, match=r"\[0\]\.patient.*maya"):
        said.planned([MAYA])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no such file"):
        replies.read(str(tmp_path / "none.yaml"))
