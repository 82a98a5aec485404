"""The sample clinic's first day: doses at the planned minute; one text in doubt, settled by its callback, not sent again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from steadypath.sample import loader
from tests.support.stack import ROOT, Up, up

ROSA = "+12025550111"
DOSE_TEXTS = {ROSA: "08:00", "+13125550112": "08:30", "+12025550113": "19:00", "+13125550115": "09:00"}
ZONES = {"+1312": "America/Chicago", "+1202": "America/New_York"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("sample") / "data", "--sample", "--fast-forward") as started:
        yield started


def texts(running: Up) -> dict[str, list[dict[str, str]]]:
    threads = running.call("GET", "/phone/threads", keyed=False).body
    return {thread["number"]: thread["messages"] for thread in threads}


def of_rosa(running: Up) -> list[str]:
    return [message["status"] for message in running.call("GET", "/notifier/messages?patient=rosa").body]


def test_a_day_of_the_sample_clinic(running: Up) -> None:
    # In the American daytime her welcome has left before the first event: then it is in doubt already.
    seen = [of_rosa(running)]
    end = 0
    while not any("delivered" in statuses for statuses in seen):
        assert running.advance(next=True).status == 200
        seen.append(of_rosa(running))
        end += 1
        assert end < 20, f"Rosa's first text is not settled: {seen}"
    assert ["unconfirmed"] in [sorted(set(statuses) - {"queued", "delivered"}) for statuses in seen], seen
    assert running.advance(by="P1D").status == 200
    for number, local in DOSE_TEXTS.items():
        zone = ZoneInfo(ZONES[number[:5]])
        said = [datetime.fromisoformat(text["at"]).astimezone(zone).strftime("%H:%M") for text in texts(running)[number]]
        assert local in said, (number, said)
    assert len([text for text in texts(running)[ROSA] if "8:00" in text["body"]]) in (1, 2), "one a day, never twice"


@pytest.mark.slow
def test_loading_it_again_on_another_day_changes_nothing(running: Up) -> None:
    assert running.advance(by="P2D").status == 200
    plans = [running.call("GET", f"/scheduler/patients/{patient}/plan").body for patient in ("rosa", "theo", "amina")]
    again = subprocess.run(
        [sys.executable, "-m", "steadypath", "sample", "--url", running.facts["origin"], "--key", running.facts["key"]],
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert again.returncode == 0
    assert [running.call("GET", f"/scheduler/patients/{patient}/plan").body for patient in ("rosa", "theo", "amina")] == plans
    assert running.call("GET", "/phone/faults", keyed=False).body == {"faults": []}


@pytest.mark.parametrize(
    ("start", "first_day"),
    [("2026-11-23T12:44:00+00:00", 23), ("2026-11-23T12:45:00+00:00", 24), ("2026-11-24T04:59:00+00:00", 24)],
)
def test_its_first_day_lies_ahead_at_whatever_hour_it_is_loaded(start: str, first_day: int) -> None:
    assert loader.first_day(datetime.fromisoformat(start), ZoneInfo("America/New_York")).day == first_day
