"""Due work: fired once, together with its effect, in an order of locks that never deadlocks with the delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared.due import BACK_OFF, Ticker, discard_work, parked_work, replay_work
from shared.errors import DomainError
from shared.messaging.unit import Fires, Unit, WorkItem
from tests.integration.messaging.bench import CLINIC, NOON, Bench, Heard, withdrawn
from tests.integration.messaging.records import arrived


async def plan(bench: Bench, *rows: tuple[str, str, UUID, datetime]) -> None:
    async with bench.engine("notifier").begin() as conn:
        unit = bench.unit(conn, "notifier")
        await unit.lock(*(row[2] for row in rows))
        for kind, ref, key, due_at in rows:
            await unit.plan_work(kind, ref, due_at, key=key, clinic_id=CLINIC, data={"ref": ref, "at": due_at, "id": key})
        await unit.flush()


def ticker(bench: Bench, fires: Fires) -> Ticker:
    return Ticker(engine=bench.engine("notifier"), service="notifier", cipher=bench.cipher, fires=fires)


class Fired:
    """A fire that notes what it was given."""

    def __init__(self) -> None:
        self.items: list[WorkItem] = []
        self.calls = 0

    async def __call__(self, unit: Unit, items: Sequence[WorkItem]) -> None:
        self.calls += 1
        self.items += items


async def test_what_is_due_is_fired_once_and_what_is_not_waits(dry_bench: Bench) -> None:
    fired, key = Fired(), uuid4()
    tick = ticker(dry_bench, {"remind": fired})
    later = NOON + timedelta(minutes=1)
    await plan(dry_bench, ("remind", "a", key, NOON), ("remind", "b", uuid4(), NOON), ("remind", "c", key, later))
    assert await tick.run(NOON) == 2
    assert fired.calls == 1
    assert {item.ref for item in fired.items} == {"a", "b"}
    assert fired.items[0].data["ref"] in ("a", "b")
    assert fired.items[0].due_at == NOON
    assert await tick.next_due() == later
    assert await tick.run(NOON) == 0
    assert await tick.run(later) == 1


async def test_planning_again_moves_and_dropping_forgets(dry_bench: Bench) -> None:
    fired, key = Fired(), uuid4()
    tick = ticker(dry_bench, {"remind": fired})
    await plan(dry_bench, ("remind", "a", key, NOON), ("remind", "b", key, NOON))
    await plan(dry_bench, ("remind", "a", key, NOON + timedelta(hours=1)))
    async with dry_bench.engine("notifier").begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        await unit.drop_work("remind", "b", "never planned")
        await unit.flush()
    assert await tick.run(NOON) == 0
    assert await tick.next_due() == NOON + timedelta(hours=1)


async def test_a_fire_may_plan_the_same_work_again(dry_bench: Bench) -> None:
    times: list[datetime] = []

    async def again(unit: Unit, items: Sequence[WorkItem]) -> None:
        for item in items:
            times.append(unit.now)
            await unit.plan_work(item.kind, item.ref, unit.now + timedelta(minutes=5), key=item.key, clinic_id=item.clinic_id)

    tick = ticker(dry_bench, {"poll": again})
    await plan(dry_bench, ("poll", "x", uuid4(), NOON))
    assert await tick.run(NOON) == 1
    assert await tick.run(NOON + timedelta(minutes=5)) == 1
    assert times == [NOON, NOON + timedelta(minutes=5)]


async def test_two_tickers_never_fire_one_row_twice(dry_bench: Bench) -> None:
    fired = Fired()
    keys = [uuid4() for _ in range(20)]
    await plan(dry_bench, *(("remind", f"{n}", keys[n % 20], NOON) for n in range(500)))
    tickers = [ticker(dry_bench, {"remind": fired}) for _ in range(4)]

    async def all_of(tick: Ticker) -> None:
        while await tick.run(NOON) or await tick.next_due() is not None:
            pass

    await asyncio.wait_for(asyncio.gather(*(all_of(tick) for tick in tickers)), 60)
    assert sorted(int(item.ref) for item in fired.items) == list(range(500))
    assert [tick.counts.fires_failed for tick in tickers] == [0] * 4


async def test_one_failing_item_does_not_keep_the_others_and_is_parked_in_the_end(dry_bench: Bench) -> None:
    fired, bad = Fired(), uuid4()

    async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
        if any(item.key == bad for item in items):
            raise KeyError("bug")
        await fired(unit, items)

    tick = ticker(dry_bench, {"remind": fire})
    await plan(dry_bench, ("remind", "bad", bad, NOON), ("remind", "good", uuid4(), NOON))
    now = NOON
    await tick.run(now)
    assert [item.ref for item in fired.items] == ["good"]
    for pause in BACK_OFF:
        due = await tick.next_due()
        assert due == now + pause
        now = due
        await tick.run(now)
    assert await tick.next_due() is None
    async with dry_bench.engine("notifier").begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        (parked,) = await parked_work(conn, "notifier", CLINIC)
        assert (parked.kind, parked.key, parked.error, parked.attempts) == ("remind", bad, "KeyError", len(BACK_OFF) + 1)
        assert await unit.is_parked(bad)
        assert not await unit.is_parked(uuid4())
        await replay_work(unit, parked.work_id)
    assert await tick.next_due() == NOON
    for _ in range(len(BACK_OFF) + 1):
        now += timedelta(hours=1)
        await tick.run(now)
    async with dry_bench.engine("notifier").begin() as conn:
        await discard_work(dry_bench.unit(conn, "notifier"), parked.work_id)
    assert await dry_bench.count("due_work") == 0
    async with dry_bench.engine("notifier").begin() as conn:
        with pytest.raises(DomainError):
            await discard_work(dry_bench.unit(conn, "notifier"), parked.work_id)


async def test_work_of_a_kind_nobody_knows_is_put_off_not_lost(dry_bench: Bench) -> None:
    tick = ticker(dry_bench, {})
    await plan(dry_bench, ("from-a-newer-release", "x", uuid4(), NOON))
    await tick.run(NOON)
    assert await dry_bench.query("SELECT error, attempts FROM ~due_work") == [("NoFire", 1)]


async def test_what_a_failed_batch_said_and_planned_is_gone_with_it(dry_bench: Bench) -> None:
    async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
        await unit.plan_work("other", "x", NOON, key=items[0].key, clinic_id=CLINIC)
        raise KeyError("bug")

    tick = ticker(dry_bench, {"remind": fire})
    await plan(dry_bench, ("remind", "x", uuid4(), NOON))
    await tick.run(NOON)
    assert await dry_bench.count("due_work", where="kind = 'other'") == 0


async def test_tick_and_delivery_never_deadlock(dry_bench: Bench) -> None:
    """Both work on the same patients in opposite orders, each moving rows that the other deletes."""
    keys = [uuid4() for _ in range(8)]

    async def move(unit: Unit, event: object) -> None:
        key: UUID = event.patient_id  # type: ignore[attr-defined]
        await unit.plan_work("remind", str(key), NOON, key=key, clinic_id=CLINIC)

    async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
        for item in items:
            await unit.plan_work("remind", str(item.key), NOON, key=item.key, clinic_id=CLINIC)

    handling = dry_bench.handling(Heard(on_event=move))
    tick = ticker(dry_bench, {"remind": fire})
    await plan(dry_bench, *(("remind", str(key), key, NOON) for key in keys))

    async def deliver(order: list[UUID]) -> None:
        for _ in range(40):
            await handling.as_batch([arrived(withdrawn(key)) for key in order])

    async def fire_all() -> None:
        for _ in range(20):
            await tick.run(NOON)

    await asyncio.wait_for(asyncio.gather(deliver(keys), deliver(keys[::-1]), fire_all()), 60)
    assert tick.counts.fires_failed == 0
    assert handling.counts.handled == 2 * 40 * 8
