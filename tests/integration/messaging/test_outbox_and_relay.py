"""The relay: nothing skipped, order per key, repeats but never loss, one leader whose memory nobody else moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from shared.messaging.memory import LeaseLost, Memory
from tests.integration.messaging.bench import QUICK, Bench, Heard, until, withdrawn


async def test_what_is_said_is_heard_once_and_confirmed(bench: Bench) -> None:
    heard, patient = Heard(), uuid4()
    await bench.say(*(withdrawn(patient, n) for n in range(20)))
    relay = bench.relay()
    assert await bench.publish_all(relay) == 20
    bench.consumer(bench.handling(heard))
    await until(lambda: len(heard.events) == 20)
    assert heard.of(patient) == list(range(20))

    # The other group of the topic has not confirmed, so the chunk stays open.
    await relay.confirm()
    assert await bench.count("relay_batch", "scheduler", "NOT confirmed") == 1
    bench.consumer(bench.handling(Heard(), "adherence"))

    async def confirmed() -> bool:
        await relay.confirm()
        return await bench.count("relay_batch", "scheduler", "NOT confirmed") == 0

    await until(confirmed)


async def test_a_late_committer_is_not_skipped(bench: Bench) -> None:
    early, late, relay = uuid4(), uuid4(), bench.relay()
    async with bench.engine("scheduler").begin() as slow:
        unit = bench.unit(slow)
        await unit.lock(late)
        unit.emit(withdrawn(late))
        await unit.flush()
        await bench.say(withdrawn(early))
        # The quick one committed after and above the slow one: it has to wait for it.
        assert await bench.publish_all(relay) == 0
    assert await bench.publish_all(relay) == 2
    assert await bench.publish_all(relay) == 0


async def test_the_order_of_a_key_holds_for_a_transaction_that_wrote_before_it_locked(bench: Bench) -> None:
    """As an HTTP command does, which claims its Idempotency-Key first: its transaction id is lower, its event comes later."""
    patient, heard, relay = uuid4(), Heard(), bench.relay()
    engine = bench.engine("scheduler")
    async with engine.connect() as between, engine.connect() as command:
        await command.exec_driver_sql("SELECT pg_current_xact_id()")
        await between.exec_driver_sql("SELECT pg_current_xact_id()")
        await bench.say(withdrawn(patient, 1))
        unit = bench.unit(command)
        await unit.lock(patient)
        unit.emit(withdrawn(patient, 2))
        await unit.flush()
        await command.commit()
        # The one in between still runs: the second event alone lies below it, and has to wait for the first.
        assert await bench.publish_all(relay) == 0
        await between.rollback()
    assert await bench.publish_all(relay) == 2
    bench.consumer(bench.handling(heard))
    await until(lambda: heard.of(patient) == [1, 2])


async def test_an_event_said_twice_under_one_id_goes_out_once(bench: Bench) -> None:
    patient, event_id, relay = uuid4(), uuid4(), bench.relay()
    await bench.say(withdrawn(patient), event_id=event_id)
    await bench.say(withdrawn(patient), event_id=event_id)
    assert await bench.publish_all(relay) == 1


async def test_the_order_of_a_key_holds_over_chunks_and_windows(bench: Bench) -> None:
    heard, patients = Heard(), [uuid4() for _ in range(3)]
    relay = bench.relay(knobs=replace(QUICK, chunk=2))
    for n in range(12):
        await bench.say(*(withdrawn(patient, n) for patient in patients))
    assert await bench.publish_all(relay) == 36
    bench.consumer(bench.handling(heard), replace(QUICK, batch=5))
    await until(lambda: len(heard.events) == 36)
    assert all(heard.of(patient) == list(range(12)) for patient in patients)


async def test_a_crash_after_publishing_repeats_and_the_inbox_absorbs(bench: Bench) -> None:
    heard, patient, handling = Heard(), uuid4(), None
    await bench.say(*(withdrawn(patient, n) for n in range(5)))
    first = bench.relay()
    await bench.publish_all(first)
    # As if it had died between the acknowledgement and its own commit: nothing of it is remembered.
    await first.stop()
    async with bench.engine("scheduler").begin() as conn:
        await conn.exec_driver_sql("DELETE FROM scheduler.relay_batch")
        await conn.exec_driver_sql("UPDATE scheduler.relay_lease SET lasts = '{}'")
    assert await bench.publish_all(bench.relay()) == 5
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.repeats == 5)
    assert heard.of(patient) == list(range(5))


async def test_one_leads_and_another_takes_over_when_it_stops(bench: Bench) -> None:
    patient, first, second = uuid4(), bench.relay(), bench.relay()
    await bench.say(withdrawn(patient, 1))
    assert await bench.publish_all(first) == 1
    await bench.say(withdrawn(patient, 2))
    assert await bench.publish_all(second) == 0
    assert not second.leads()
    await first.stop()
    assert await bench.publish_all(second) == 1


async def test_a_replaced_leader_cannot_move_the_memory(dry_bench: Bench) -> None:
    knobs = replace(QUICK, lease=timedelta(0))
    old, new = (Memory(dry_bench.engine("scheduler"), "scheduler", uuid4(), knobs) for _ in range(2))
    stale, fresh = await old.take_lease(), await new.take_lease()
    assert stale is not None
    assert fresh is not None
    async with dry_bench.engine("scheduler").begin() as conn:
        assert (await new.hold(conn, fresh.epoch)).epoch == fresh.epoch
    async with dry_bench.engine("scheduler").begin() as conn:
        with pytest.raises(LeaseLost):
            await old.hold(conn, stale.epoch)


async def test_published_rows_stay_until_all_groups_confirmed_and_the_time_is_over(bench: Bench) -> None:
    relay = bench.relay(knobs=replace(QUICK, keep_published=timedelta(0), prune_every=0))
    await bench.say(withdrawn(uuid4()))
    await bench.publish_all(relay)
    bench.consumer(bench.handling(Heard()))
    await relay.run(bench.clock.now())
    assert await bench.count("outbox", "scheduler") == 1
    bench.consumer(bench.handling(Heard(), "adherence"))

    async def gone() -> bool:
        await relay.run(bench.clock.now())
        return await bench.count("outbox", "scheduler") == 0

    await until(gone)
    # The last chunk is the memory of where publishing goes on: it stays.
    assert await bench.count("relay_batch", "scheduler") == 1
    await bench.say(withdrawn(uuid4()))
    assert await bench.publish_all(relay) == 1


async def test_a_transaction_that_rolls_back_says_nothing(bench: Bench) -> None:
    relay = bench.relay()
    async with bench.engine("scheduler").connect() as conn:
        unit = bench.unit(conn)
        await unit.lock(uuid4())
        unit.emit(withdrawn(uuid4()))
        await unit.flush()
        await conn.rollback()
    assert await bench.publish_all(relay) == 0


async def test_a_service_cannot_say_what_is_another_ones(dry_bench: Bench) -> None:
    with pytest.raises(ValueError, match="to say"):
        await dry_bench.say(withdrawn(uuid4()), service="notifier")
