"""Plans that nobody would think of against the oracle: expanded as the scheduler plans, and run until they end by themselves."""

from __future__ import annotations

import zoneinfo
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared  # noqa: F401 - pins the zones' data, for the oracle too
from services.scheduler.domain import expansion, ladder, timing, validation
from services.scheduler.domain.plan import Plan
from tests.unit.scheduler import oracle
from tests.unit.scheduler.builders import LIMITS, RULES
from tests.unit.scheduler.clocks import DAY
from tests.unit.scheduler.desk import Desk, desk
from tests.unit.scheduler.oracle import Oracle
from tests.unit.scheduler.stated import NOTHING, Drawn, read, statements

WINDOW = 10 * DAY


@pytest.fixture(autouse=True, scope="module")
def pinned() -> None:
    """Another test may have looked at the machine's own data."""
    zoneinfo.reset_tzpath(to=())
    ZoneInfo.clear_cache()


@given(statements(), st.sets(st.integers(1, 10 * 24 * 60 - 1), max_size=2), st.sets(st.integers(0, 99), max_size=3))
@settings(max_examples=80, deadline=None)
def test_any_plan_expanded_in_any_pieces_is_what_the_oracle_reads_in_it(stated: Drawn, cuts: set[int], at: set[int]) -> None:
    """In pieces, as the scheduler plans two days ahead, again and again: nothing is lost or doubled where they meet, at a text's
    very instant least of all."""
    plan, told = read(stated)
    validation.check(plan, LIMITS)
    first = oracle.first_minute(stated["zone"], plan.starts_on)
    plan = replace(plan, since=first)
    expected = Oracle(stated, first, first + WINDOW + DAY).entries()
    meet = {first + oracle.MINUTE * cut for cut in cuts} | {one.at for n, one in enumerate(expected) if n in at}
    bounds = [first, *sorted(one for one in meet if first < one < first + WINDOW), first + WINDOW]
    found = [one for start, end in pairwise(bounds) for one in expansion.occurrences(plan, start, end, RULES)]
    assert sorted(map(told, found)) == [one for one in expected if one.at < first + WINDOW]
    doses = [one for one in expected if one.kind == "dose-due"]
    for one in found:
        if one.kind == "dose-due":
            assert one.answer_until == oracle.answered_until(doses, told(one), RULES.dose_answer)


def run_to_the_end(plan: Plan, first: datetime) -> Desk:
    """The plan on the desk from its first instant on; every text goes at once."""
    run = desk(replace(plan, since=first, version=1), first)
    while (due := run.next_due()) is not None and due < first + WINDOW:
        run.tick(due)
        for said in run.said:
            run.sent(said.occurrence.id)
    return run


@given(statements())
@settings(max_examples=60, deadline=None)
def test_any_plan_that_runs_until_it_ends_by_itself_says_what_the_oracle_reads_in_it(stated: Drawn) -> None:
    """With all that midnight does to a plan: steps, ends of courses, its own end. Nothing is said twice, late or not at all."""
    plan, told = read(stated)
    first = oracle.first_minute(stated["zone"], plan.starts_on)
    run = run_to_the_end(plan, first)
    assert sorted(told(said.occurrence) for said in run.said) == Oracle(stated, first, first + WINDOW).entries()
    assert all(said.at == said.occurrence.due_at for said in run.said)
    assert run.expired == []
    assert run.withdrawn == []


DOSE = {"slot": "night", "quantity": "1", "unit": "tablet"}
LAST_WORDS: dict[str, Drawn] = {
    "course": {"medicines": [{"id": "m1", "steps": [{"doses": [DOSE], "from_day": 1}], "ends_on": "2027-03-27"}]},
    "taper": {
        "medicines": [{"id": "m1", "kind": "taper", "steps": [{"from_day": 1, "doses": [DOSE]}, {"from_day": 4, "doses": []}]}]
    },
    "lesson": {"education": [{"id": "e0", "lesson": "sleep", "day": 3, "time": "23:30"}]},
}


@pytest.mark.parametrize("zone", ["America/Nuuk", "America/Scoresbysund"])
@pytest.mark.parametrize("last", LAST_WORDS)
def test_the_last_text_of_a_plan_goes_although_its_date_is_over_when_the_clock_jumps_over_midnight(zone: str, last: str) -> None:
    """23:30 of the last day does not exist: it lies half an hour into a gap that ends at the next day's 00:00."""
    stated = {**NOTHING, "zone": zone, "starts_on": "2027-03-25", "slots": {"night": "23:30"}, **LAST_WORDS[last]}
    plan, told = read(stated)
    first = oracle.first_minute(zone, plan.starts_on)
    run = run_to_the_end(plan, first)
    assert [told(said.occurrence) for said in run.said] == Oracle(stated, first, first + WINDOW).entries()
    jump = datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert run.said[-1].at == jump + timedelta(minutes=30)
    assert run.withdrawn == []
    assert run.plan.status == "completed"
    assert [ladder.next_change(plan, jump - oracle.MINUTE), ladder.next_change(plan, jump)] == [jump, jump + timedelta(hours=1)]
    assert [type(fact).__name__ for fact in run.facts[1:]] == ["MedicineRemoved"] * bool(plan.medicines) + ["PlanCompleted"]


def test_a_date_is_open_until_nothing_of_it_is_still_to_come() -> None:
    jump = datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert timing.local_date(jump, "America/Nuuk") == date(2027, 3, 28)
    assert timing.open_date(jump + timedelta(minutes=59), "America/Nuuk") == date(2027, 3, 27)
    assert timing.open_date(jump + timedelta(minutes=60), "America/Nuuk") == date(2027, 3, 28)
    assert timing.open_date(datetime(2027, 3, 28, 5, tzinfo=UTC), "America/Havana") == date(2027, 3, 28)
