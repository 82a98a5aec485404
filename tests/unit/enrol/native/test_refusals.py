"""What the native format refuses: the line, the element, what is accepted; never a value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadypath.enrol import files, native_reader
from steadypath.enrol.native_reader import NativeSource
from steadypath.enrol.outcome import Refusal, Row
from tests.unit.enrol.native.made import SETTING, Json, medicine, one, patient, read, rows

REFUSED: list[tuple[Json, str, str]] = [
    (patient(nmae="x"), "nmae", "no such field here"),
    (patient(name=...), "name", "a value: this field is required"),
    (patient(zone="Mars/Olympus", phone="x" * 99), "phone", "at most 40 long"),
    (patient(plan={"slots": {"morning": "25:99"}}), "plan.slots.morning.time", "a local time such as 08:00"),
    (patient(plan={"starts_on": "2026-02-30"}), "plan.starts_on", "a date such as 2026-12-07"),
    (patient(plan={"starts_on": "9999-01-01"}), "plan.starts_on", "at most 2200-01-01"),
    (patient(plan={"medicines": [medicine(kind="sometimes")]}), "plan.medicines[0].kind", "'steady', 'titration' or 'taper'"),
    (
        patient(plan={"medicines": [medicine()]}),
        "plan.medicines[0].steps[0].doses[0].slot",
        "the name of one of the plan's slots",
    ),
    (patient(plan={"slots": {"teatime": {"times_from": "routine"}}}), "plan.slots.teatime", "a time, or one of "),
    (
        patient(plan={"check_ins": [{"id": "c", "instrument": "mood", "item": "moood", "time": "17:00"}]}),
        "plan.check_ins[0].item",
        "",
    ),
    (patient(plan={"medicines": [medicine(), 7]}), "plan.medicines[1]", "an object"),
    (patient(consent={"given_on": "soon", "how": "paper", "to_whom": "desk"}), "consent.given_on", "a date such as 2026-12-07"),
    (patient(routine={"wake": "07:00"}, plan=...), "routine", "a plan beside it"),
    (patient(routine={"wake": "7"}), "routine.wake", "a local time such as 08:00"),
    (patient(care_team=[{"person": "no body"}]), "care_team[0].person", "text that matches"),
]


@pytest.mark.parametrize(("raw", "element", "accepted"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_refusal_names_line_element_and_what_is_accepted(tmp_path: Path, raw: Json, element: str, accepted: str) -> None:
    found = one(tmp_path, raw)
    assert found.contact is None
    assert found.plan is None
    first = found.rows[0]
    assert (first.item, first.outcome) == ("patient/ana", "refused")
    assert first.element is not None
    line, _, said = first.element.partition(": ")
    assert said == element
    assert re.fullmatch(r"line \d+", line)
    assert (first.accepted or "").startswith(accepted)
    last = re.findall(r"\w+", element)[-1]
    number = int(line.removeprefix("line "))
    text = json.dumps({"steadypath": 1, "patients": [raw]}, indent=1).splitlines()
    if last in json.dumps(raw) and not last.isdigit():
        assert f'"{last}"' in text[number - 1]


@pytest.mark.parametrize("indent", ["", "  "])
def test_lines_of_yaml_are_those_that_a_person_sees(tmp_path: Path, indent: str) -> None:
    text = f"""# María's clinic
steadypath: 1
patients:

{indent}- id: ana
{indent}  name: Ána Ñandú
{indent}  plan:
{indent}    slots:
{indent}      morning: 08:00
{indent}      noon: 25:00   # wrong
{indent}- {{ id: bob, name: B,
{indent}    zone: 5 }}
"""
    _, found = read(tmp_path, text)
    assert [each.rows[0].element for each in found] == ["line 10: plan.slots.noon.time", "line 12: zone"]


def test_a_refused_medicine_refuses_its_patient_and_no_other(tmp_path: Path) -> None:
    bad = patient(id="bob", plan={"slots": {"morning": "08:00"}, "medicines": [medicine(), medicine(id="m2", kind="x")]})
    text = json.dumps({"steadypath": 1, "patients": [patient(), bad, patient(id="cyd")]})
    _, found = read(tmp_path, text, name="plans.json")
    assert [rows(each) for each in found] == [
        [("patient/ana", "enrolled"), ("medicine/m1", "enrolled")],
        [("patient/bob", "refused"), ("medicine/m1", "refused"), ("medicine/m2", "refused")],
        [("patient/cyd", "enrolled"), ("medicine/m1", "enrolled")],
    ]


def test_an_id_that_stands_twice_is_refused_both_times(tmp_path: Path) -> None:
    text = json.dumps({"steadypath": 1, "patients": [patient(), patient(id="bob"), patient()]})
    _, found = read(tmp_path, text, name="plans.json")
    assert [each.rows[0].outcome for each in found] == ["refused", "enrolled", "refused"]


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("people: []\n", None),
        ("steadypath: 2\n", "steadypath"),
        ("steadypath: true\n", "steadypath"),
        ("steadypath: 1\npateints: []\n", "*"),
        ("steadypath: 1\npatients: {}\n", "patients"),
        ("- steadypath: 1\n", None),
        ('{"steadypath": 1, "patients": [{"id": "ana"', "line 1"),
        ('{"steadypath": 1, "patients": [], "patients": []}', "line 1"),
        ('{"steadypath": 1, "patients": [NaN]}', "line 1"),
        ("[1]", None),
        ("steadypath: 1\npatients: &a [*a]\n", "line 2"),
    ],
)
def test_a_file_that_cannot_be_taken_is_one_refusal(tmp_path: Path, text: str, element: str | None) -> None:
    path = tmp_path / "plans"
    path.write_text(text, "utf-8")
    with pytest.raises(Refusal) as refusal:
        len(NativeSource("plans", files.read(str(path))))
    assert refusal.value.element == element


SECRETS = ("Zebulon Quartermaine", "+19995550000", "zopiclone", "Zanzibar")


_KEYS = ["id", "name", "phone", "zone", "plan", "medicines", "steps", "slots", *SECRETS]


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)


@given(st.recursive(st.sampled_from([*SECRETS, 3, None, True, 1.5]), _deeper))
def test_no_refusal_ever_holds_a_value(raw: Any) -> None:
    text = json.dumps({"steadypath": 1, "patients": [raw]})
    source = NativeSource("plans.json", files.Document("json", text))
    for found in native_reader.read([source], SETTING, {}).patients:
        for row in found.rows:
            _holds_no_secret(row)


def _holds_no_secret(row: Row) -> None:
    said = " ".join(str(part) for part in (row.item, row.element, row.reason, row.accepted))
    for secret in (*SECRETS, "Zebulon", "5550000"):
        assert secret not in said or (secret in (row.item or "") and " " not in secret)
