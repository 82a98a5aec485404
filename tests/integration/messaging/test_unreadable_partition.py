"""A partition that cannot be read for once: aiokafka then forgets what it had taken from the others. They are not forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException, KafkaError

from shared.events.due import DueWithdrawnV1
from shared.messaging.unit import Unit
from tests.integration.messaging.bench import QUICK, Bench, Heard, until, withdrawn
from tests.integration.messaging.records import record

_getall = FetchResult.getall


@dataclass
class Broken:
    """So many reads of partition 1 fail as they do where a checksum is wrong."""

    left: int = 0

    def getall(self, fetched: Any, max_records: int | None = None) -> Any:
        if self.left and fetched._topic_partition.partition == 1:
            self.left -= 1
            fetched._partition_records._records_iterator = iter(())  # what was fetched is closed by the failure
            raise CorruptRecordException("Invalid CRC")
        return _getall(fetched, max_records)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    made = Broken()
    monkeypatch.setattr(FetchResult, "getall", lambda fetched, most=None: made.getall(fetched, most))
    return made


async def test_what_other_partitions_gave_in_the_same_look(bench: Bench, broken: Broken) -> None:
    """Both wait while a batch is being handled, so that one look finds both."""
    one, two, gate, go = uuid4(), uuid4(), uuid4(), asyncio.Event()

    async def hold(_unit: Unit, event: DueWithdrawnV1) -> None:
        if event.patient_id == gate:
            await go.wait()

    heard = Heard(on_event=hold)
    consumer = bench.consumer(bench.handling(heard))
    await until(consumer.assigned)
    await bench.raw(record(withdrawn(gate), partition=2))
    await until(consumer.in_flight)
    broken.left = 1
    kafka = consumer._kafka()
    assert kafka is not None
    for number, patient in enumerate((one, two)):
        await bench.raw(record(withdrawn(patient), partition=number))
        await until(lambda number=number: any(at.partition == number for at in kafka._fetcher._records))  # type: ignore[misc]
    go.set()
    await until(lambda: heard.of(two) == [0])
    await bench.raw(record(withdrawn(one, 1), partition=0))
    await until(lambda: 1 in heard.of(one))
    assert broken.left == 0
    assert heard.of(one) == [0, 1]


async def test_what_came_before_what_was_waited_for(bench: Bench, broken: Broken) -> None:
    """At rest, told of both: the one that has come waits for the other."""
    heard, one, two = Heard(), uuid4(), uuid4()
    consumer = bench.consumer(bench.handling(heard))
    await until(consumer.assigned)
    consumer.rest(True)
    broken.left = 1
    await bench.raw(record(withdrawn(one), partition=0))
    await bench.raw(record(withdrawn(two), partition=1))
    await consumer.reach({"due.v1:0": 0, "due.v1:1": 0}, 30)
    await bench.raw(record(withdrawn(one, 1), partition=0))
    await consumer.reach({"due.v1:0": 1, "due.v1:1": 0}, 30)
    assert broken.left == 0
    assert (heard.of(one), heard.of(two)) == ([0, 1], [0])


async def test_a_consumer_that_cannot_commit_is_stuck_though_it_meets_the_same_again(bench: Bench) -> None:
    """As where the task that keeps it in its group has ended: every look fails, and it goes back to where the group stands."""
    heard, patient = Heard(), uuid4()
    handling = bench.handling(heard)
    consumer = bench.consumer(handling, replace(QUICK, stuck_after=7.0))
    await until(consumer.assigned)
    kafka = consumer._kafka()
    assert kafka is not None
    getmany = kafka.getmany

    failed_after = [0]

    async def failing(**how: Any) -> Any:
        """Fails once after every record that was handled."""
        met = handling.counts.handled + handling.counts.repeats
        if met > failed_after[-1]:
            failed_after.append(met)
            raise KafkaError
        return await getmany(**how)

    async def refused(_offsets: Any) -> None:
        raise KafkaError

    kafka.getmany, kafka.commit = failing, refused
    await bench.raw(record(withdrawn(patient), partition=0))
    await until(lambda: handling.counts.repeats)
    await until(consumer.stuck_for)
    assert heard.of(patient) == [0]
