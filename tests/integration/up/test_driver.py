"""The driver against parts that misbehave in the ways that real ones do: late, restarted, busy, silent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from shared.clock import ClockPage
from shared.events.base import TOPIC_DUE
from steadypath.driver import Driver, NotQuietError, PastError, Stepped

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
PLACE = f"{TOPIC_DUE}:0"
AFTER, BEHIND = {"phone": "notifier"}, {"adherence": "notifier"}


@dataclass
class Clockwork:
    """A part with things due; each is done in the step after its time has come. Speaks HTTP as a real one does."""

    page: ClockPage
    due: list[datetime] = field(default_factory=list)
    done: list[datetime] = field(default_factory=list)
    published: dict[str, int] = field(default_factory=dict)
    consumed: dict[str, int] = field(default_factory=dict)
    silent_for: int = 0
    busy_for: int = 0
    steps: int = 0
    catches_up_with: Clockwork | None = None

    async def step(self, _request: web.Request) -> web.Response:
        self.steps += 1
        if self.silent_for > 0:
            self.silent_for -= 1
            return web.Response(status=503)
        now = self.page.now()
        ready = [moment for moment in self.due if moment <= now]
        self.done += ready
        self.due = [moment for moment in self.due if moment > now]
        if ready:
            self.published[PLACE] = self.published.get(PLACE, -1) + len(ready)
        self.busy_for = max(0, self.busy_for - 1)
        answer = self._snapshot(now)
        if self.catches_up_with is not None:  # a record takes a while from writer to reader
            self.consumed = {place: last + 1 for place, last in self.catches_up_with.published.items()}
        return web.json_response(answer)

    def _snapshot(self, now: datetime) -> dict[str, Any]:
        return {
            "now": now.isoformat(),
            "next_due": min(self.due).isoformat() if self.due else None,
            "due": 0,
            "unsent": 0,
            "in_flight": self.busy_for,
            "parked": 0,
            "published": self.published,
            "consumed": self.consumed,
            "work": len(self.done),
        }


@asynccontextmanager
async def driven(page: ClockPage, parts: dict[str, Clockwork], *, patience: float = 5.0) -> AsyncIterator[Driver]:
    app = web.Application()
    for name, part in parts.items():
        app.router.add_post(f"/{name}/simulation/step", part.step)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as session:

            def stepped(name: str) -> Stepped:
                return Stepped(name, lambda: f"{origin}/{name}/simulation/step", after=AFTER.get(name), behind=BEHIND.get(name))

            yield Driver(page, [stepped(name) for name in parts], session, key="k", patience=patience)
    finally:
        await runner.cleanup()


@pytest.fixture
def page(tmp_path: Path) -> ClockPage:
    return ClockPage(tmp_path / "clock", start=START)


def run(page: ClockPage, parts: dict[str, Clockwork], act: Callable[[Driver], Awaitable[object]], patience: float = 5.0) -> None:
    async def whole() -> None:
        async with driven(page, parts, patience=patience) as driver:
            await act(driver)

    asyncio.run(whole())


def hours(*amounts: float) -> list[datetime]:
    return [START + timedelta(hours=amount) for amount in amounts]


def test_every_moment_on_the_way_is_stood_at(page: ClockPage) -> None:
    seen: list[datetime] = []

    class Watching(Clockwork):
        async def step(self, request: web.Request) -> web.Response:
            seen.append(self.page.now())
            return await super().step(request)

    parts = {"scheduler": Clockwork(page, hours(1, 3)), "phone": Watching(page, hours(2))}
    run(page, parts, lambda driver: driver.advance_by(timedelta(hours=4)))
    assert sorted(set(seen)) == [START, *hours(1, 2, 3, 4)]


def test_it_does_not_answer_before_every_reader_has_handled_every_record(page: ClockPage) -> None:
    writer = Clockwork(page, hours(1))
    readers = {name: Clockwork(page, catches_up_with=writer) for name in ("notifier", "adherence")}
    run(page, {"scheduler": writer, **readers}, lambda driver: driver.advance_to(hours(1)[0]))
    assert writer.published == {PLACE: 0}
    assert [reader.consumed for reader in readers.values()] == [{PLACE: 1}, {PLACE: 1}]


def test_next_goes_to_the_next_moment_and_stays_where_nothing_is_due(page: ClockPage) -> None:
    parts = {"scheduler": Clockwork(page, hours(5))}

    async def twice(driver: Driver) -> None:
        assert (await driver.advance_to_next()).now == hours(5)[0]
        assert (await driver.advance_to_next()).now == hours(5)[0]

    run(page, parts, twice)


def test_a_part_that_is_started_again_on_the_way_is_waited_for(page: ClockPage) -> None:
    part = Clockwork(page, hours(1), silent_for=5)
    run(page, {"scheduler": part}, lambda driver: driver.advance_by(timedelta(hours=2)))
    assert part.done == hours(1)


def test_what_is_in_flight_is_waited_for(page: ClockPage) -> None:
    part = Clockwork(page, busy_for=7)
    run(page, {"notifier": part}, lambda driver: driver.settle())
    assert part.busy_for == 0


def test_what_only_a_pass_can_find_out_is_looked_at_again_where_nothing_comes_further(page: ClockPage) -> None:
    """A sender whose predecessor was killed in mid-send: no row says when that attempt's lease is over."""

    class Waiting(Clockwork):
        asked = 0

        async def step(self, request: web.Request) -> web.Response:
            self.asked += (await request.json())["all"]
            self.busy_for = 2 if self.asked < 3 else 0
            return await super().step(request)

    part = Waiting(page)
    run(page, {"notifier": part}, lambda driver: driver.settle())
    assert part.asked >= 3


def test_without_progress_it_says_who_is_not_quiet(page: ClockPage) -> None:
    reader = Clockwork(page)
    parts = {"scheduler": Clockwork(page, hours(1)), "notifier": reader, "adherence": Clockwork(page, silent_for=10**6)}

    async def give_up(driver: Driver) -> None:
        with pytest.raises(NotQuietError) as caught:
            await driver.advance_by(timedelta(hours=1))
        assert "adherence: no answer" in caught.value.why

    run(page, parts, give_up, patience=0.2)


def test_a_part_that_works_for_ever_without_effect_is_named(page: ClockPage) -> None:
    class Spinning(Clockwork):
        def _snapshot(self, now: datetime) -> dict[str, Any]:
            return super()._snapshot(now) | {"work": self.steps}

    async def give_up(driver: Driver) -> None:
        with pytest.raises(NotQuietError) as caught:
            await driver.settle()
        assert caught.value.why == ("notifier: goes on working",)

    run(page, {"notifier": Spinning(page)}, give_up, patience=0.2)


def test_time_never_goes_back(page: ClockPage) -> None:
    async def back(driver: Driver) -> None:
        with pytest.raises(PastError):
            await driver.advance_to(START - timedelta(seconds=1))

    run(page, {"scheduler": Clockwork(page)}, back)
    assert page.now() == START


def test_a_moment_costs_few_steps(page: ClockPage) -> None:
    part = Clockwork(page, hours(*range(1, 101)))
    run(
        page,
        {
            "scheduler": part,
            "notifier": Clockwork(page, catches_up_with=part),
            "adherence": Clockwork(page, catches_up_with=part),
        },
        lambda driver: driver.advance_by(timedelta(hours=100)),
    )
    assert len(part.done) == 100
    assert part.steps <= 100 * 5 + 10


def test_everybody_is_asked_at_every_moment_and_once_where_that_is_enough(page: ClockPage) -> None:
    """The last moment apart, at which everybody looks twice."""
    parts = {"busy": Clockwork(page, hours(1, 2, 3)), "idle": Clockwork(page), "phone": Clockwork(page)}
    run(page, parts, lambda driver: driver.advance_by(timedelta(hours=4)))
    assert {part.steps for part in parts.values()} == {2 + 3 + 2}


@pytest.mark.parametrize(("works", "hears"), [("notifier", "phone"), ("phone", "notifier")])
def test_whoever_hears_from_another_part_without_records_is_asked_after_its_work(page: ClockPage, works: str, hears: str) -> None:
    """And what it has come to know by then is met before time moves on, even where it had been asked already."""

    @dataclass
    class Wordless(Clockwork):
        answered: dict[datetime, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

        def _snapshot(self, now: datetime) -> dict[str, Any]:
            self.answered[now].set()
            return super()._snapshot(now) | {"published": {}}

    class Reaching(Wordless):
        async def step(self, request: web.Request) -> web.Response:
            now = self.page.now()
            works_now = now in self.due
            answer = await super().step(request)
            if works_now:
                await other.answered[now].wait()  # both are asked in one round
                other.due.append(now)
            return answer

    other = Wordless(page, hours(1, 2))
    parts = {works: Reaching(page, hours(1, 2)), hears: other, "idle": Clockwork(page)}
    run(page, parts, lambda driver: driver.advance_by(timedelta(hours=3)))
    assert other.done == [each for each in hours(1, 2) for _ in range(2)]


def test_while_a_part_has_something_to_do_the_one_behind_it_waits_and_hears_of_the_moment_at_once(page: ClockPage) -> None:
    asked: list[str] = []

    @dataclass
    class Hearing(Clockwork):
        name: str = ""

        async def step(self, request: web.Request) -> web.Response:
            now = self.page.now()
            if now == hours(1)[0]:
                self.busy_for += 3 if self.name == "notifier" and self.name not in asked else 0
                asked.append(self.name)
            return await super().step(request)

    writer = Clockwork(page, hours(1))
    notifier, adherence = (Hearing(page, catches_up_with=writer, name=name) for name in ("notifier", "adherence"))
    parts = {"scheduler": writer, "notifier": notifier, "adherence": adherence}
    run(page, parts, lambda driver: driver.advance_by(timedelta(hours=2)))
    assert asked[: asked.index("adherence")] == ["notifier"] * 3
    assert adherence.consumed == {PLACE: 1}


def test_what_waits_behind_another_is_asked_where_nothing_comes_further(page: ClockPage) -> None:
    """Or a part that hangs until the one behind it has been asked would hang for ever."""

    class Waiting(Clockwork):
        async def step(self, request: web.Request) -> web.Response:
            self.busy_for = 2 if self.page.now() == hours(1)[0] and not behind.done else 0
            return await super().step(request)

    behind = Clockwork(page, hours(1))
    behind.catches_up_with = behind
    notifier = Waiting(page, hours(1), catches_up_with=behind)
    run(page, {"notifier": notifier, "adherence": behind}, lambda driver: driver.advance_by(timedelta(hours=2)))
    assert behind.done == hours(1)


def test_an_advance_is_over_only_when_all_have_said_so_twice(page: ClockPage) -> None:
    """What came to a part by another way than an event, after it had been asked, is met before anybody is answered."""

    class Reached(Clockwork):
        async def step(self, request: web.Request) -> web.Response:
            answer = await super().step(request)
            if self.page.now() == hours(1)[0] and self.steps == self.late_at:
                self.due = [self.page.now()]
            return answer

        late_at = 3

    idle = Reached(page)
    run(page, {"scheduler": Clockwork(page, hours(1)), "idle": idle}, lambda driver: driver.advance_by(timedelta(hours=1)))
    assert idle.done == hours(1)
