"""The native format keeps its word: schema, documentation and reader agree; every refusal says where, and what instead."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.events.compatibility import breaks
from steadypath.enrol import files, native, native_reader
from steadypath.enrol.intake import ConsentGiven, Intake, PatientIntake, Setting
from steadypath.enrol.native_reader import NativeSource
from steadypath.enrol.outcome import Refusal, Row

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = "docs/contracts/native-plan.v1.schema.json"
DOCUMENT = (ROOT / "docs" / "native-format.md").read_text("utf-8")
SETTING = Setting(date(2026, 11, 23))
Json = dict[str, Any]


def worked_example() -> str:
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


def read(tmp_path: Path, text: str, setting: Setting = SETTING, name: str = "plans.yaml") -> tuple[Intake, list[PatientIntake]]:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    intake = native_reader.read([NativeSource(name, files.read(str(path)))], setting, {"noon": time(12, 15)})
    return intake, list(intake.patients)


def patient(**more: Any) -> Json:
    whole = {
        "id": "ana",
        "name": "Ana Example",
        "phone": "+12025550141",
        "zone": "America/New_York",
        "consent": {"given_on": "2026-11-20", "how": "paper", "to_whom": "desk"},
        "plan": {"slots": {"morning": "08:00"}, "medicines": [medicine()]},
    }
    return {name: value for name, value in (whole | more).items() if value is not ...}


def medicine(**more: Any) -> Json:
    doses = [{"slot": "morning", "quantity": "1", "unit": "tablet"}]
    return {"id": "m1", "steps": [{"from_day": 1, "doses": doses}]} | more


def one(tmp_path: Path, raw: Json, setting: Setting = SETTING) -> PatientIntake:
    return read(tmp_path, json.dumps({"steadypath": 1, "patients": [raw]}, indent=1), setting, "plans.json")[1][0]


def rows(found: PatientIntake) -> list[tuple[str | None, str]]:
    return [(row.item, row.outcome) for row in found.rows]


def test_the_schema_is_what_the_models_say_and_breaks_nothing() -> None:
    committed = json.loads((ROOT / SCHEMA).read_text("utf-8"))
    assert committed == native.schema()
    shown = subprocess.run(["git", "show", f"HEAD:{SCHEMA}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode == 0:
        assert breaks(json.loads(shown.stdout), native.schema()) == []


def test_every_field_is_documented_and_the_worked_example_uses_it() -> None:
    example = yaml.safe_load(worked_example())
    used: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            used.update(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(example)
    schema = native.schema()
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", {})}
    assert [name for name in sorted(fields) if f"`{name}`" not in DOCUMENT] == []
    shown_elsewhere = {"rule_sets", "replaces", "weekdays", "starts_on"}  # one of each kind of plan would be three examples
    assert fields - used - shown_elsewhere == set()


def test_the_worked_example_is_read_without_a_refusal(tmp_path: Path) -> None:
    intake, [maya] = read(tmp_path, worked_example())
    assert [person.row.outcome for person in intake.people] == ["enrolled"]
    assert rows(maya) == [
        ("patient/maya", "enrolled"),
        ("medicine/maya-morning", "enrolled"),
        ("medicine/maya-old", "enrolled"),
        ("medicine/maya-rescue", "enrolled"),
    ]
    morning, old, rescue = (row.slots for row in maya.rows[1:])
    assert [(slot.times, slot.dose, slot.until) for slot in morning] == [
        (("08:00",), "0.5 tablet", "2026-12-06"),
        (("08:00",), "1 tablet", None),
    ]
    assert [(slot.times, slot.times_from, slot.every, slot.until) for slot in old] == [
        (("22:30",), "routine", "P1D", "2026-12-06"),
        (("22:30",), "routine", "P2D", "2026-12-20"),
    ]
    assert rescue[0].as_needed


def test_names_numbers_and_labels_never_reach_the_plan(tmp_path: Path) -> None:
    _, [maya] = read(tmp_path, worked_example())
    said = json.dumps(maya.plan)
    assert maya.labels == {"maya-morning": "your morning tablet"}
    for secret in ("Maya", "Lindqvist", "M. L.", "5550141", "morning tablet", "front desk"):
        assert secret not in said


@pytest.mark.parametrize("name", ["titration.yaml"])
def test_examples_are_read_without_a_refusal(name: str) -> None:
    source = NativeSource(name, files.read(str(ROOT / "examples" / name)))
    intake = native_reader.read([source], SETTING, {})
    found = [row.outcome for one in intake.patients for row in one.rows]
    assert set(found) == {"enrolled"}


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
    ("missing", "element"),
    [
        ({"phone": ...}, "phone"),
        ({"consent": ...}, "consent"),
        ({"zone": ...}, "zone"),
        ({"phone": ..., "consent": None}, "phone, consent"),
    ],
)
def test_what_a_text_still_needs_makes_a_draft(tmp_path: Path, missing: Json, element: str) -> None:
    found = one(tmp_path, patient(**missing))
    assert {(row.outcome, row.element) for row in found.rows} == {("draft", element)}
    assert found.plan is not None


def test_without_a_plan_no_zone_is_needed(tmp_path: Path) -> None:
    found = one(tmp_path, patient(plan=..., zone=...))
    assert rows(found) == [("patient/ana", "enrolled")]
    assert found.plan is None


def test_what_the_file_leaves_out_is_left_as_it_is(tmp_path: Path) -> None:
    found = one(tmp_path, patient(phone=..., consent=...))
    assert found.contact is not None
    assert "phone" not in found.contact
    assert "consent" not in found.contact
    taken = one(tmp_path, patient(phone=None))
    assert taken.contact is not None
    assert taken.contact["phone"] is None


def test_consent_for_all_stands_in_where_a_file_has_none(tmp_path: Path) -> None:
    setting = Setting(date(2026, 11, 23), consent=ConsentGiven(date(2026, 11, 23), "by phone", "the clinic"))
    assert (one(tmp_path, patient(consent=...), setting).contact or {})["consent"]["how"] == "by phone"
    assert (one(tmp_path, patient(), setting).contact or {})["consent"]["how"] == "paper"


def test_a_day_one_that_nobody_states_is_today_and_marked_so(tmp_path: Path) -> None:
    found = one(tmp_path, patient())
    assert found.starts_assumed
    assert (found.plan or {})["starts_on"] == "2026-11-23"
    stated = patient(plan={"starts_on": "2026-12-01", "slots": {"morning": "08:00"}, "medicines": [medicine()]})
    assert not one(tmp_path, stated).starts_assumed


def test_the_clinics_routine_gives_a_slot_its_time(tmp_path: Path) -> None:
    plan = {"slots": {"morning": {"times_from": "routine", "routine": "noon"}}, "medicines": [medicine()]}
    assert one(tmp_path, patient(plan=plan)).rows[1].slots[0].times == ("12:15",)


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
