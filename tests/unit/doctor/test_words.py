"""The doctor has plain words for whatever a channel may say, and for what an operator can set wrongly."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from shared.ops.channels import Why
from steadypath.doctor_ops import _ADVICE, judged, judged_there

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("channel", "module"), [("webhook", "channels"), ("smtp", "mail")])
def test_there_is_advice_for_every_reason_that_a_channel_gives(channel: str, module: str) -> None:
    source = (ROOT / "shared" / "ops" / f"{module}.py").read_text("utf-8").partition("DELIVERED")[2]
    given = {why for why in get_args(Why) if f'"{why}"' in source}
    assert given, "the reasons are named in the source"
    assert {why for of, why in _ADVICE if of == channel} == given


def test_the_code_of_the_other_side_is_in_what_is_said() -> None:
    assert "535" in judged("smtp", delivered=False, why="login-refused", code=535).said
    assert judged("smtp", delivered=True, why=None, code=None).passed


def test_a_test_that_a_service_made_reads_the_same() -> None:
    answer: list[dict[str, object]] = [{"channel": "smtp", "delivered": False, "why": "no-answer", "code": None}]
    assert judged_there(answer) == {"ops mail": judged("smtp", delivered=False, why="no-answer", code=None)}
    [none_set] = judged_there([]).values()
    assert (none_set.passed, none_set.note) == (True, True)


GOOD = {
    "STEADYPATH_DATABASE_URL": "postgresql://u:canary@127.0.0.1:1/d",
    "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "STEADYPATH_DATA_KEY": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=",
}
NOBODY = {
    "STEADYPATH_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "STEADYPATH_TWILIO_AUTH_TOKEN": "canary",
    "STEADYPATH_TWILIO_API_BASE": "http://127.0.0.1:1",
    "STEADYPATH_PUBLIC_BASE_URL": "http://127.0.0.1:1",
    "STEADYPATH_OPS_WEBHOOK_URL": "http://127.0.0.1:1/canary",
    "STEADYPATH_OPS_SMTP_HOST": "127.0.0.1",
    "STEADYPATH_OPS_SMTP_PORT": "1",
    "STEADYPATH_OPS_SMTP_FROM": "canary@clinic.example",
    "STEADYPATH_OPS_SMTP_TO": "canary@clinic.example",
}


def doctor(settings: dict[str, str]) -> tuple[int, list[str], list[str]]:
    """Exit code and lines of the doctor, given these settings alone."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("STEADYPATH_")}
    command = [sys.executable, "-m", "steadypath", "doctor"]
    done = subprocess.run(command, cwd=ROOT, env=env | settings, capture_output=True, text=True, check=False, timeout=60)
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_where_nobody_answers_each_check_names_its_setting() -> None:
    code, found, fixes = doctor({**GOOD, **NOBODY})
    assert code == 1
    assert found[0] == "ok   settings: as .env.example wants them"
    assert [re.split(r"[: ]+", line)[1] for line in found[1:]] == [
        "database", "switch", "broker", "provider", "webhook", "ops", "ops",
    ]  # fmt: skip
    assert all(line.startswith("FIX  ") for line in found[1:])
    named = " ".join(fixes)
    for setting in ("DATABASE_URL", "KAFKA_BOOTSTRAP", "TWILIO_API_BASE", "PUBLIC_BASE_URL", "OPS_WEBHOOK_URL", "OPS_SMTP_HOST"):
        assert f"STEADYPATH_{setting}" in named


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"STEADYPATH_DATA_KEY": ""}, "FIX  settings: STEADYPATH_DATA_KEY: is needed and not set"),
        ({"STEADYPATH_OPS_SMTP_HOST": "mail.example"}, "FIX  settings: STEADYPATH_OPS_SMTP_FROM: is needed and not set"),
        ({"STEADYPATH_OPS_WEBHOOK_URL": "mailto:canary"}, "FIX  settings: STEADYPATH_OPS_WEBHOOK_URL: not accepted"),
        ({"STEADYPATH_DATA_KEY": "", "STEADYPATH_DATA_KEY_FILE": "/nowhere"}, "FIX  settings: STEADYPATH_DATA_KEY_FILE: "),
    ],
)
def test_a_bad_setting_is_named_and_nothing_else_is_looked_at(change: dict[str, str], line: str) -> None:
    code, found, fixes = doctor({**GOOD, **change})
    assert (code, len(found), len(fixes)) == (1, 1, 1)
    assert found[0].startswith(line)
