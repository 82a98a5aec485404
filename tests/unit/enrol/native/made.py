"""Files in the native format, made and read: what tests of it share."""

from __future__ import annotations

import json
from datetime import date, time
from pathlib import Path
from typing import Any

from steadypath.enrol import files, native_reader
from steadypath.enrol.intake import Intake, PatientIntake, Setting
from steadypath.enrol.native_reader import NativeSource

ROOT = Path(__file__).resolve().parents[4]

SETTING = Setting(date(2026, 11, 23))

Json = dict[str, Any]


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
