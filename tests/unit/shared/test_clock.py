"""Simulated time: one page, seen by all, never going back, never half-written."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.clock import ClockPage, SystemClock, machine_now

START = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
INSTANTS = st.timedeltas(min_value=timedelta(days=-20_000), max_value=timedelta(days=60_000)).map(lambda since: START + since)


@pytest.fixture
def page(tmp_path: Path) -> ClockPage:
    return ClockPage(tmp_path / "clock", start=START)


def test_two_maps_of_one_page_see_one_time(page: ClockPage) -> None:
    other = ClockPage(page.path)
    page.set(START + timedelta(hours=1))
    assert other.now() == START + timedelta(hours=1)
    assert other.now().tzinfo is UTC


def test_another_process_sees_it(page: ClockPage) -> None:
    page.set(START + timedelta(days=1, microseconds=7))
    code = "import sys, pathlib, shared.clock as c; print(c.ClockPage(pathlib.Path(sys.argv[1])).now().isoformat())"
    seen = subprocess.run([sys.executable, "-c", code, str(page.path)], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == (START + timedelta(days=1, microseconds=7)).isoformat()


def test_time_never_goes_back(page: ClockPage) -> None:
    page.set(START)
    with pytest.raises(ValueError, match="never goes back"):
        page.set(START - timedelta(microseconds=1))
    assert page.now() == START


def test_an_instant_needs_a_zone_and_any_zone_will_do(page: ClockPage) -> None:
    with pytest.raises(ValueError, match="zone"):
        page.set(datetime(2027, 1, 1))  # noqa: DTZ001 - the point
    page.set(datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=-5))))
    assert page.now() == START + timedelta(hours=1)


def test_an_existing_page_keeps_its_time(page: ClockPage) -> None:
    page.set(START + timedelta(days=3))
    assert ClockPage(page.path, start=START).now() == START + timedelta(days=3)


def test_nobody_starts_on_a_time_that_nobody_chose(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ClockPage(tmp_path / "none")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(instant=INSTANTS)
def test_every_instant_comes_back_to_the_microsecond(tmp_path: Path, instant: datetime) -> None:
    path = tmp_path / "clock"
    path.unlink(missing_ok=True)
    assert ClockPage(path, start=instant).now() == instant


def test_a_reader_never_sees_half_of_two_instants(page: ClockPage) -> None:
    """Another process writes, as fast as it can, two values whose bytes all differ."""
    low, high = 0x0101010101010101, 0x0202020202020202
    code = (
        "import sys; from pathlib import Path; from shared.clock import ClockPage; cell = ClockPage(Path(sys.argv[1]))._cell\n"
        f"while True:\n    cell[0] = {high}; cell[0] = {low}"
    )
    page._cell[0] = low
    with subprocess.Popen([sys.executable, "-c", code, str(page.path)]) as writer:
        while page._cell[0] == low:
            assert writer.poll() is None
        seen = {page._cell[0] for _ in range(300_000)}
        writer.kill()
    assert seen == {low, high}


def test_the_system_clock_is_aware_and_moves() -> None:
    first = SystemClock().now()
    assert first.tzinfo is UTC
    assert machine_now() >= first
