"""What waits for the commit is done after it, whoever owns the transaction, and never where it is rolled back: not even where the
commit itself is what fails."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shared.due import Ticker
from shared.events.due import DueWithdrawnV1
from shared.http.bulk import part
from shared.messaging.unit import Unit, WorkItem
from shared.runtime import Runtime
from shared.settings import Settings
from tests.integration.messaging.bench import CLINIC, NOON, Bench, Heard, withdrawn
from tests.integration.messaging.records import arrived


async def refuse_the_commit(unit: Unit) -> None:
    """PostgreSQL looks at what is deferred when all else has been done."""
    once = "CREATE TEMP TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP"
    for statement in (once, "INSERT INTO once VALUES (1), (1)"):
        await unit.conn.execute(text(statement))


@dataclass
class Counted:
    """Handler and fire that count each patient with the commit, which `bad` makes fail."""

    bad: UUID | None = field(default_factory=uuid4)
    patients: list[UUID] = field(default_factory=list)

    async def one(self, unit: Unit, patient: UUID) -> None:
        unit.on_commit(partial(self.patients.append, patient))
        if patient == self.bad:
            await refuse_the_commit(unit)

    async def hear(self, unit: Unit, event: DueWithdrawnV1) -> None:
        await self.one(unit, event.patient_id)

    async def fire(self, unit: Unit, items: Sequence[WorkItem]) -> None:
        for item in items:
            await self.one(unit, item.key)


async def test_a_batch_of_events(dry_bench: Bench) -> None:
    counted, good, woken = Counted(), uuid4(), list[str]()
    handling = replace(dry_bench.handling(Heard(on_event=counted.hear)), wake=woken.append)
    assert counted.bad is not None
    both = [arrived(withdrawn(good)), arrived(withdrawn(counted.bad))]
    with pytest.raises(IntegrityError):
        await handling.as_batch(both)
    assert (counted.patients, woken) == ([], [])
    await handling.as_batch(both[:1])
    assert (counted.patients, woken) == ([good], ["ticker"])


async def test_due_work_of_a_failed_batch_that_goes_one_by_one(dry_bench: Bench) -> None:
    counted, good, woken = Counted(), uuid4(), list[str]()
    engine, cipher = dry_bench.engine("notifier"), dry_bench.cipher
    async with engine.begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        for key in (good, counted.bad):
            assert key is not None
            await unit.plan_work("count", str(key), NOON, key=key, clinic_id=CLINIC)
        await unit.flush()
    tick = Ticker(engine=engine, service="notifier", cipher=cipher, fires={"count": counted.fire}, wake=woken.append)
    await tick.run(NOON)
    assert tick.counts.fires_failed == 1
    assert counted.patients == [good]


async def test_a_parked_event_that_is_replayed(dry_bench: Bench) -> None:
    counted = Counted()
    assert counted.bad is not None
    handling, event = dry_bench.handling(Heard(on_event=counted.hear)), arrived(withdrawn(counted.bad))
    await handling.park(event, error="KeyError", attempts=1)
    desk = dry_bench.desk(handling)
    assert await desk.replay(event.event_id, author="ops", reason="not mended") == 0
    assert counted.patients == []
    patient, counted.bad = counted.bad, None
    assert await desk.replay(event.event_id, author="ops", reason="mended") == 1
    assert counted.patients == [patient]


async def test_a_command_or_a_pass(dry_bench: Bench) -> None:
    counted, good, woken = Counted(), uuid4(), list[str]()
    environment = {
        "STEADYPATH_DATABASE_URL": dry_bench.database.url("notifier"),
        "STEADYPATH_KAFKA_BOOTSTRAP": dry_bench.bootstrap,
        "STEADYPATH_DATA_KEY": b64encode(bytes(32)).decode(),
    }
    runtime = Runtime(Settings.from_env("notifier", env=environment), clock=dry_bench.clock, engine=dry_bench.engine("notifier"))
    runtime.wakes(woken.append)

    async def command(patient: UUID | None) -> None:
        assert patient is not None
        async with runtime.unit() as unit:
            unit.after_commit("sender")
            await counted.one(unit, patient)

    with pytest.raises(IntegrityError):
        await command(counted.bad)
    assert (counted.patients, woken) == ([], [])
    await command(good)
    assert (counted.patients, woken) == ([good], ["sender"])


async def test_a_part_that_is_taken_back_alone(dry_bench: Bench) -> None:
    counted, good = Counted(), uuid4()
    async with dry_bench.engine("notifier").begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        await counted.one(unit, good)
        with suppress(KeyError):
            async with part(unit):
                await counted.one(unit, uuid4())
                raise KeyError("bug")
    unit.buffers.committed(lambda _name: None)
    assert counted.patients == [good]


async def test_what_a_part_that_is_taken_back_left_for_later_is_not_written(dry_bench: Bench) -> None:
    """What was left before it is, though the part had it written meanwhile: that went back with it."""
    written: list[object] = []

    async def write(_unit: Unit, items: Sequence[object]) -> None:
        written.extend(items)

    async with dry_bench.engine("notifier").begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        unit.later(write, "before")
        with suppress(KeyError):
            async with part(unit):
                unit.later(write, "refused")
                await unit.write_left()
                raise KeyError("bug")
        written.clear()
        await unit.flush()
    assert written == ["before"]
