"""Kafka may forget everything: another broker, an emptied one, a frozen leader. Nothing is lost, nothing has its effect twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from shared.events.base import Event
from shared.messaging.consumer import Consumer
from shared.messaging.knobs import Knobs
from tests.integration.messaging.bench import QUICK, Bench, Heard, until, withdrawn
from tests.support.parts import Broker

FROZEN = Path(__file__).with_name("frozen_leader.py")
ROOT = Path(__file__).resolve().parents[3]
SHORT_LEASE = replace(QUICK, lease=timedelta(seconds=1))


async def _say_and_publish(bench: Bench, relay: object, *events: Event) -> None:
    await bench.say(*events)
    await relay.run(bench.clock.now())  # type: ignore[attr-defined]


def _stands_at(consumer: Consumer, records: int) -> bool:
    return sum(consumer.positions().values()) == records


async def test_a_new_broker_is_given_all_that_is_not_confirmed(
    bench: Bench, fresh_kafka: Broker, another_kafka: Callable[[], Broker]
) -> None:
    """Published, not yet read, then the broker dies with everything in it: the new one is told again, and every effect is one."""
    heard, patient, relay = Heard(), uuid4(), bench.relay()
    handling = bench.handling(heard)
    consumer = bench.consumer(handling)
    await bench.say(*(withdrawn(patient, n) for n in range(3)))
    assert await bench.publish_all(relay) == 3
    await until(lambda: len(heard.events) == 3)
    await consumer.stop()
    await bench.say(*(withdrawn(patient, n) for n in range(3, 6)))
    assert await bench.publish_all(relay) == 3

    fresh_kafka.process.kill()
    bench.bootstrap = another_kafka().bootstrap
    await bench.say(withdrawn(patient, 6))

    async def repaired() -> bool:
        await relay.run(bench.clock.now())
        return relay.counts.repairs == 1 and await bench.count("relay_lease", "scheduler", "repair_from IS NULL") == 1

    await until(repaired)
    handling = bench.handling(heard)
    bench.consumer(handling)
    # Unconfirmed by the other group, so all were told again; the inbox made the known ones a no-op.
    await until(lambda: len(heard.events) == 7 and handling.counts.repeats >= 3)
    assert heard.of(patient) == list(range(7))
    # A marker in every partition tells readers where no row went.
    assert await bench.query("SELECT repair FROM ~relay_lease", "scheduler") == [(1,)]
    await until(lambda: handling.counts.read_again > 0)


async def test_a_running_consumer_follows_to_the_new_broker(
    bench: Bench, fresh_kafka: Broker, another_kafka: Callable[[], Broker]
) -> None:
    heard, patient, relay = Heard(), uuid4(), bench.relay()
    bench.consumer(bench.handling(heard))
    await bench.say(withdrawn(patient, 1))
    await bench.publish_all(relay)
    await until(lambda: heard.of(patient) == [1])
    fresh_kafka.process.kill()
    bench.bootstrap = another_kafka().bootstrap
    await bench.say(withdrawn(patient, 2))

    async def followed() -> bool:
        await relay.run(bench.clock.now())
        return heard.of(patient) == [1, 2]

    await until(followed, 40)
    assert relay.counts.repairs == 1


async def test_an_offset_given_twice_starts_a_repair(bench: Bench) -> None:
    """The same cluster id, but the log under it is gone: as after a wiped volume. Our own memory says what had to be there."""
    heard, patient, relay = Heard(), uuid4(), bench.relay(knobs=replace(QUICK, check_broker_every=1e9))
    await bench.say(withdrawn(patient, 1))
    await bench.publish_all(relay)
    async with bench.engine("scheduler").begin() as conn:
        # As if the memory were of a log that had reached 1000 in every partition.
        lasts = '{"due.v1": {"0": 1000, "1": 1000, "2": 1000, "3": 1000}}'
        await conn.exec_driver_sql(f"UPDATE scheduler.relay_lease SET lasts = '{lasts}'")
    await bench.say(withdrawn(patient, 2))
    assert await bench.publish_all(relay) >= 2
    assert relay.counts.repairs == 1
    bench.consumer(bench.handling(heard))
    await until(lambda: heard.of(patient) == [1, 2])
    await bench.say(withdrawn(patient, 3))
    await bench.publish_all(relay)
    await until(lambda: heard.of(patient) == [1, 2, 3])
    assert relay.counts.repairs == 1


async def test_an_end_that_fell_back_starts_a_repair_without_anything_to_say(bench: Bench) -> None:
    relay = bench.relay()
    await bench.say(withdrawn(uuid4()))
    await bench.publish_all(relay)
    async with bench.engine("scheduler").begin() as conn:
        await conn.exec_driver_sql("""UPDATE scheduler.relay_lease SET lasts = '{"plans.v1": {"0": 5}}'""")
    await bench.publish_all(relay)
    assert relay.counts.repairs == 1


async def test_every_partition_gets_a_marker_and_every_record_the_number(bench: Bench) -> None:
    relay = bench.relay()
    await bench.say(withdrawn(uuid4()))
    await bench.publish_all(relay)
    async with bench.engine("scheduler").begin() as conn:
        await conn.exec_driver_sql("""UPDATE scheduler.relay_lease SET incarnation = 'another'""")
    await bench.publish_all(relay)
    reader = AIOKafkaConsumer("due.v1", "plans.v1", bootstrap_servers=bench.bootstrap, auto_offset_reset="earliest")
    await reader.start()
    records: list[ConsumerRecord[bytes, bytes]] = []
    while len(records) < 10:
        records += [each for batch in (await reader.getmany(timeout_ms=500)).values() for each in batch]
    await reader.stop()
    repairs = [(dict(each.headers)["ce_type"], dict(each.headers)["repair"]) for each in records]
    assert repairs.count((b"steadypath.repair-marker", b"1")) == 8
    assert repairs.count((b"due-withdrawn.v1", b"0")) == 1
    assert repairs.count((b"due-withdrawn.v1", b"1")) == 1


async def test_a_frozen_leader_publishes_repeats_at_most_and_moves_nothing(bench: Bench) -> None:
    """A real process, stopped by SIGSTOP between its acknowledgements and its memory; replaced; then woken."""
    heard, patient = Heard(), uuid4()
    await bench.say(*(withdrawn(patient, n) for n in range(5)))
    env = {**os.environ, "TEST_URL": bench.database.url("scheduler"), "TEST_KAFKA": bench.bootstrap}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FROZEN), cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"published\n"
        process.send_signal(signal.SIGSTOP)
        relay = bench.relay(knobs=SHORT_LEASE)

        async def taken_over() -> bool:
            await relay.run(bench.clock.now())
            return relay.leads()

        await until(taken_over)
        await bench.publish_all(relay)
        await bench.say(withdrawn(patient, 5))
        await bench.publish_all(relay)
        before = await bench.query("SELECT batch, epoch, last_seq FROM ~relay_batch ORDER BY batch", "scheduler")
        process.send_signal(signal.SIGCONT)
        rest, _ = await asyncio.wait_for(process.communicate(b"\n"), 20)
        assert rest.splitlines()[-1] == b"lost the lease"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert await bench.query("SELECT batch, epoch, last_seq FROM ~relay_batch ORDER BY batch", "scheduler") == before
    assert {row[1] for row in before} == {2}
    bench.consumer(bench.handling(heard))
    await until(lambda: len(heard.events) == 6)
    assert heard.of(patient) == list(range(6))


async def test_a_reader_behind_is_confirmed_only_after_it_has_met_the_repair(bench: Bench) -> None:
    """An offset that a group committed in the log that is gone confirms nothing of what was published again."""
    relay = bench.relay(knobs=replace(Knobs(), confirm_every=0, check_broker_every=0))
    await bench.say(withdrawn(uuid4()))
    await bench.publish_all(relay)
    consumers = [bench.consumer(bench.handling(Heard(), service)) for service in ("notifier", "adherence")]
    for consumer in consumers:
        await until(partial(_stands_at, consumer, 1))
        await consumer.stop()
    async with bench.engine("scheduler").begin() as conn:
        await conn.exec_driver_sql("UPDATE scheduler.relay_lease SET incarnation = 'another'")
        # What was confirmed stays confirmed, so make the repair begin at the start again.
        await conn.exec_driver_sql("UPDATE scheduler.relay_batch SET confirmed = false")
    await bench.publish_all(relay)
    # The groups stand at 1 with repair 0; the chunk of repair 1 lies above: not confirmed, and the lowest is not either.
    await relay.confirm()
    assert await bench.count("relay_batch", "scheduler", "confirmed") == 0
    for service in ("notifier", "adherence"):
        bench.consumer(bench.handling(Heard(), service))

    async def confirmed() -> bool:
        await relay.confirm()
        return await bench.count("relay_batch", "scheduler", "NOT confirmed") == 0

    await until(confirmed)
