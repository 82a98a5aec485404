"""The product's occurrences against a naive oracle that shares no code with it (oracle.py), around every change of every kind of
clock there is.

Both start from the same statement, the JSON that a clinic puts. The product reads it as it does over HTTP, and expands it with
the function by which the scheduler plans.
"""

from __future__ import annotations

import ast
import sys
import zoneinfo
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import shared  # noqa: F401 - pins the zones' data, for the oracle too
from services.scheduler.domain import expansion
from tests.unit.scheduler import oracle
from tests.unit.scheduler.builders import RULES
from tests.unit.scheduler.clocks import DAY, FIRST, LAST, MOVING, STILL, ZONES, changes
from tests.unit.scheduler.oracle import Entry
from tests.unit.scheduler.stated import daily, read

HALF_HOURS = {f"s{n}": f"{n // 2:02}:{n % 2 * 30:02}" for n in range(48)}


@pytest.fixture(autouse=True, scope="module")
def pinned() -> None:
    """Another test may have looked at the machine's own data."""
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()


def test_the_oracle_imports_the_standard_library_alone() -> None:
    nodes = list(ast.walk(ast.parse(Path(oracle.__file__).read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    assert "zoneinfo" in names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"__future__"}
    assert not any(isinstance(node, ast.Name) and node.id in ("__import__", "eval", "exec") for node in nodes)


def test_no_clock_on_earth_moves_in_a_way_that_is_not_compared() -> None:
    def offsets(zone: str) -> tuple[timedelta | None, ...]:
        tz = ZoneInfo(zone)
        return tuple((FIRST + DAY * number).astimezone(tz).utcoffset() for number in range((LAST - FIRST).days))

    compared = {offsets(zone) for zone in MOVING}
    names = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    missed = [name for name in names if len(set(found := offsets(name))) > 1 and found not in compared]
    assert missed == []
    assert len(compared) == len(MOVING)
    assert len(ZONES) == 40
    assert sum(len(changes(zone)) for zone in MOVING) >= 280
    assert all(changes(zone) for zone in MOVING)
    assert not any(changes(zone) for zone in STILL)


@pytest.mark.parametrize("zone", ZONES)
def test_every_half_hour_around_every_clock_change_is_due_when_a_walk_through_the_minutes_finds_it(zone: str) -> None:
    """All of three local dates, and whatever of other dates falls among them, planned in two pieces that meet
    at the change. Where a clock stands still: when Berlin's moves."""
    plan, told = read(daily(zone, HALF_HOURS))
    plan = replace(plan, since=FIRST - 9 * DAY)
    slots, taken = {wall: slot for slot, wall in HALF_HOURS.items()}, (("m1", "1", "tablet"),)
    for moment in changes(zone) or changes("Europe/Berlin")[:2]:
        walk = oracle.walls(zone, moment - 3 * DAY, moment + 3 * DAY)
        seen = {wall: at for wall, at in walk.items() if wall.minute in (0, 30)}
        around = [(moment.astimezone(ZoneInfo(zone)) + DAY * number).date() for number in (-1, 0, 1)]
        asked = [at for wall, at in seen.items() if wall.date() in around]
        assert len(asked) == 3 * 48
        first, last = min(asked), max(asked) + oracle.MINUTE
        expected = [
            Entry(at, "dose-due", wall.date(), slots[f"{wall:%H:%M}"], taken) for wall, at in seen.items() if first <= at < last
        ]
        pieces = [(first, moment), (moment, last)]
        found = [one for start, end in pieces for one in expansion.occurrences(plan, start, end, RULES)]
        assert sorted(map(told, found)) == sorted(expected)
        assert len({one.id for one in found}) == len(found)
