"""The native format keeps its word: schema, documentation and reader agree; every refusal says where, and what instead."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.events.compatibility import breaks
from steadypath.enrol import files, native, native_reader
from steadypath.enrol.intake import ConsentGiven, Setting
from steadypath.enrol.native_reader import NativeSource
from tests.unit.enrol.native.made import ROOT, SETTING, Json, medicine, one, patient, read, rows

SCHEMA = "docs/contracts/native-plan.v1.schema.json"

DOCUMENT = (ROOT / "docs" / "native-format.md").read_text("utf-8")


def worked_example() -> str:
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found
    return found[1]


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
