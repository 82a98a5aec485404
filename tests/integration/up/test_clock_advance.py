"""`POST /clock/advance` on a real stack: what it takes, what it refuses, and that it waits for a part that is down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.support.stack import Up, up


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("clock") / "data", "--sample", "--fast-forward") as started:
        yield started


def now(running: Up) -> datetime:
    return datetime.fromisoformat(running.call("GET", "/clock", keyed=False).body["now"])


def test_time_stands_still_until_it_is_advanced(running: Up) -> None:
    stood = now(running)
    answer = running.advance(by="PT1H")
    assert answer.status == 200, answer
    assert datetime.fromisoformat(answer.body["now"]) == stood + timedelta(hours=1) == now(running)
    assert answer.body["parked"] == 0


def test_to_an_instant_in_any_offset(running: Up) -> None:
    target = now(running) + timedelta(minutes=30)
    assert running.advance(to=target.astimezone(tz=None).isoformat()).status == 200
    assert now(running) == target


def test_the_next_event_is_where_something_happens(running: Up) -> None:
    before = now(running)
    assert running.advance(next=True).status == 200
    assert now(running) > before, "the sample clinic always has something ahead"


@pytest.mark.parametrize(
    "asked",
    [
        {"to": "2020-01-01T00:00:00+00:00"},
        {"to": "2099-01-01T00:00:00"},
        {"to": "tomorrow"},
        {"by": "-PT1H"},
        {"by": "PT1H", "next": True},
        {"by": "P1M"},
        {"next": False},
        {},
        [],
    ],
    ids=str,
)
def test_what_is_not_accepted_is_a_problem_and_moves_nothing(running: Up, asked: object) -> None:
    before = now(running)
    answer = running.call("POST", "/clock/advance", asked, keyed=False)
    assert answer.status == 422
    assert answer.body["status"] == 422
    assert answer.body["element"] in {"to", "by", "body"}
    assert answer.body["accepted"]
    assert now(running) == before


@pytest.mark.slow
@pytest.mark.parametrize("part", ["scheduler", "notifier", "adherence", "phone"])
def test_it_waits_for_a_part_that_is_being_started_again(running: Up, part: str) -> None:
    before = now(running)
    running.kill(part)
    assert running.advance(by="PT5M").status == 200
    assert now(running) == before + timedelta(minutes=5)
