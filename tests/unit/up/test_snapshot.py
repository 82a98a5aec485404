"""Who has something to do, and when two rounds say the same: what the driver moves time by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.events.base import TOPIC_DUE
from steadypath.snapshot import Snapshot, busy, same

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
QUIET = Snapshot(now=NOW, next_due=NOW + timedelta(hours=1), due=0, unsent=0, in_flight=0, parked=0, work=5)
PLACE = f"{TOPIC_DUE}:0"


def all_quiet() -> dict[str, Snapshot | None]:
    return dict.fromkeys(("scheduler", "notifier", "adherence"), QUIET)


@pytest.mark.parametrize("change", [{"due": 1}, {"unsent": 1}, {"in_flight": 1}, {"next_due": NOW}], ids="/".join)
def test_whoever_has_something_of_its_own_is_busy(change: dict[str, object]) -> None:
    assert busy(all_quiet() | {"notifier": replace(QUIET, **change)}, NOW) == {"notifier"}  # type: ignore[arg-type]


def test_whoever_gives_no_answer_is_busy() -> None:
    assert busy(all_quiet() | {"notifier": None}, NOW) == {"notifier"}


def test_nobody_is_busy_before_their_moment() -> None:
    assert busy(all_quiet(), NOW) == set()
    assert busy(all_quiet(), NOW + timedelta(minutes=59)) == set()
    assert busy(all_quiet(), NOW + timedelta(hours=1)) == {"scheduler", "notifier", "adherence"}


def test_readers_are_busy_until_they_have_handled_what_was_published() -> None:
    said = all_quiet() | {"scheduler": replace(QUIET, published={PLACE: 3})}
    assert busy(said, NOW) == {"notifier", "adherence"}
    said |= {"notifier": replace(QUIET, consumed={PLACE: 4}), "adherence": replace(QUIET, consumed={PLACE: 3})}
    assert busy(said, NOW) == {"adherence"}


def test_two_rounds_are_the_same_whenever_they_were_said() -> None:
    later = {name: one and replace(one, now=NOW + timedelta(hours=1)) for name, one in all_quiet().items()}
    assert same(all_quiet(), later)


@pytest.mark.parametrize(
    "change",
    [{"work": 6}, {"parked": 1}, {"published": {PLACE: 0}}, {"consumed": {PLACE: 1}}, {"next_due": None}],
    ids="/".join,
)
def test_anything_new_is_not_the_same(change: dict[str, object]) -> None:
    assert not same(all_quiet(), all_quiet() | {"adherence": replace(QUIET, **change)})  # type: ignore[arg-type]


def test_with_no_answer_nothing_is_the_same() -> None:
    nobody = all_quiet() | {"adherence": None}
    assert not same(nobody, nobody)
    assert not same({}, all_quiet())
