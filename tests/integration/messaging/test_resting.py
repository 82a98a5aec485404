"""While a driver of simulated time is at work: Kafka is asked for what is known to be on its way, and for nothing else."""

from __future__ import annotations

from uuid import uuid4

from tests.integration.messaging.bench import Bench, Heard, until, withdrawn
from tests.integration.messaging.records import record

LONG = 20.0


async def test_at_rest_nothing_is_taken_but_what_we_are_told_of(bench: Bench) -> None:
    heard, told, untold = Heard(), uuid4(), uuid4()
    consumer = bench.consumer(bench.handling(heard))
    await until(consumer.assigned)
    consumer.rest(True)
    await bench.raw(record(withdrawn(told), partition=0), record(withdrawn(untold), partition=1))
    await consumer.reach({"due.v1:0": 0}, LONG)
    assert heard.of(told) == [0]
    assert heard.of(untold) == []
    await consumer.reach({"due.v1:0": 0, "due.v1:1": 0}, LONG)
    assert heard.of(untold) == [0]
    await bench.raw(record(withdrawn(told, 1), partition=0))
    await consumer.reach({"due.v1:3": 0}, 0.3)  # which is not there
    assert heard.of(told) == [0], "it rests again after what it was told of"
    consumer.rest(False)
    await until(lambda: heard.of(told) == [0, 1])


async def test_what_is_known_to_be_on_its_way_is_one_transaction(bench: Bench) -> None:
    """Said one after another, they are record batches of their own, which the broker hands out one at a time."""
    heard, patient = Heard(), uuid4()
    handling = bench.handling(heard)
    consumer = bench.consumer(handling)
    await until(consumer.assigned)
    consumer.rest(True)
    for number in range(3):
        await bench.raw(record(withdrawn(patient, number), partition=2))
    await consumer.reach({"due.v1:2": 2}, LONG)
    assert heard.of(patient) == [0, 1, 2]
    assert handling.counts.batches == 1


async def test_what_has_come_is_handled_though_the_rest_of_it_never_does(bench: Bench) -> None:
    heard, patient = Heard(), uuid4()
    consumer = bench.consumer(bench.handling(heard))
    await until(consumer.assigned)
    consumer.rest(True)
    await bench.raw(record(withdrawn(patient), partition=3))
    await consumer.reach({"due.v1:3": 7}, 1.0)
    assert heard.of(patient) == [0]
    assert consumer.positions()["due.v1:3"] == 1
