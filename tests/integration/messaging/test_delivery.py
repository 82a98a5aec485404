"""The delivery: every failure waits, is tried again or is parked; nothing lost, nothing spun, nothing leaked."""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import TopicPartition
from faststream import AckPolicy

from shared.events.due import DueWithdrawnV1
from shared.events.messages import ChannelIncidentV1
from shared.messaging import codec
from shared.messaging.broker import consuming_broker, publishing_broker
from shared.messaging.unit import Unit
from tests.integration.messaging.bench import CLINIC, QUICK, Bench, Heard, until, withdrawn
from tests.integration.messaging.records import committed, headers, parked, record
from tests.support.parts import Broker


async def test_default_ack_policy_is_not_used() -> None:
    async def nothing(_records: Any) -> None:
        return None

    _, subscriber = consuming_broker("127.0.0.1:1", "notifier", QUICK, nothing, None, whole=bool)
    assert subscriber.ack_policy is AckPolicy.MANUAL


async def test_of_several_addresses_one_that_answers_is_enough(fresh_kafka: Broker) -> None:
    """Three brokers are three addresses with commas; FastStream takes a text for one address."""

    async def nothing(_records: Any) -> None:
        return None

    several = f"127.0.0.1:1, {fresh_kafka.bootstrap}"
    reading, _ = consuming_broker(several, "notifier", QUICK, nothing, None, whole=bool)
    for broker in (publishing_broker(several, "scheduler", QUICK), reading):
        await broker.start()  # raises KafkaConnectionError where it reaches none
        await broker.stop()


async def test_a_failing_record_is_parked_and_never_spins(bench: Bench) -> None:
    """NACK_ON_ERROR gave thousands of deliveries in two seconds; here each record has exactly one try, and order goes on."""
    heard, bad, good = Heard(), uuid4(), uuid4()
    tries: list[UUID] = []

    def fail(event: DueWithdrawnV1) -> BaseException | None:
        tries.append(event.patient_id)
        return ValueError("John Doe, +15551234") if event.patient_id == bad else None

    heard.fail = fail
    await bench.raw(record(withdrawn(bad)), record(withdrawn(good)))
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: heard.of(good) and handling.counts.parked == 1)
    assert await parked(bench) == [("parked", "ValueError")]
    # Once in the batch at most, once alone.
    assert tries.count(bad) <= 2


async def test_a_body_that_is_no_event_is_parked_visibly_with_a_silent_logger(bench: Bench) -> None:
    one, other, third = withdrawn(uuid4()), withdrawn(uuid4()), withdrawn(uuid4(), 3)
    heard, handling = Heard(), None
    await bench.raw(record(one, value=b"{not json"), record(other, value=b'{"clinic_id": "x"}'), record(third))
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked == 2 and heard.events)
    assert await parked(bench) == [("parked", "BodyUnreadable")] * 2
    assert heard.of(third.patient_id) == [3]


async def test_a_header_that_is_not_utf8_or_null_is_parked_not_lost(bench: Bench) -> None:
    one, other, third = withdrawn(uuid4()), withdrawn(uuid4()), withdrawn(uuid4(), 3)
    heard = Heard()
    await bench.raw(
        record(one, headers=headers(one, traceparent=b"\xff\xfe")),
        record(other, headers=headers(other, ce_time=None)),
        record(third),
    )
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked == 2 and heard.events)
    assert await parked(bench) == [("parked", "HeaderUnreadable")] * 2
    kept = await bench.query("SELECT key, body FROM ~parked ORDER BY seq")
    assert {row[0] for row in kept} == {one.patient_id, other.patient_id}
    assert {row[1] for row in kept} == {codec.body_of(one), codec.body_of(other)}


async def test_an_event_of_a_newer_producer_is_parked(bench: Bench) -> None:
    event = withdrawn(uuid4())
    await bench.raw(record(event, headers=headers(event, event_type="due-withdrawn.v9")))
    handling = bench.handling(Heard())
    bench.consumer(handling)
    await until(lambda: handling.counts.parked == 1)
    assert await parked(bench) == [("parked", "UnknownEvent")]


async def test_a_known_event_without_a_handler_is_confirmed_and_counted(bench: Bench) -> None:
    handling = bench.handling(Heard())
    handling.handlers = {}
    await bench.raw(record(withdrawn(uuid4())))
    consumer = bench.consumer(handling)
    await until(lambda: handling.counts.without_handler == 1 and sum(consumer.positions().values()) == 1)
    assert await parked(bench) == []
    assert await bench.query("SELECT event_id FROM ~inbox") == [], "it has no effect that could come twice"


async def test_only_the_offsets_of_the_records_done_are_committed(bench: Bench) -> None:
    """While one record waits for the database, nothing after it on its partition is committed, whatever else is done."""
    heard, handling = Heard(), None
    waits = ConnectionRefusedError("the database is away")
    bad, gone = uuid4(), [True]
    heard.fail = lambda event: waits if gone[0] and event.patient_id == bad else None
    await bench.raw(*(record(withdrawn(bad, n), partition=0) for n in range(3)))
    handling = bench.handling(heard)
    consumer = bench.consumer(handling)
    await until(lambda: consumer.delivery.waiting)
    assert await committed(bench) == 0
    assert await parked(bench) == []
    gone[0] = False
    await until(lambda: heard.of(bad) == [0, 1, 2])
    assert not consumer.delivery.waiting
    await until(lambda: consumer.positions().get("due.v1:0") == 3)
    assert await committed(bench) == 3


async def test_commits_name_partitions_and_never_the_position_of_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    consumer = bench.consumer(bench.handling(heard))
    await until(lambda: consumer.assigned() > 0)
    kafka, calls = consumer._kafka(), []
    assert kafka is not None
    commit = kafka.commit

    async def watched(offsets: Any = None) -> None:
        calls.append(offsets)
        await commit(offsets)

    monkeypatch.setattr(kafka, "commit", watched)
    await bench.raw(record(withdrawn(uuid4()), partition=2))
    await until(lambda: calls)
    assert all(list(offsets) == [TopicPartition("due.v1", 2)] for offsets in calls)


async def test_context_variables_do_not_leak_between_events(bench: Bench) -> None:
    patient_of: ContextVar[str] = ContextVar("patient_of", default="none")
    met: list[str] = []

    async def look(unit: Unit, event: DueWithdrawnV1) -> None:
        met.append(patient_of.get())
        patient_of.set(str(event.patient_id))

    heard = Heard(on_event=look)
    await bench.raw(*(record(withdrawn(uuid4(), n), partition=0) for n in range(4)))
    bench.consumer(bench.handling(heard))
    await until(lambda: len(met) == 4)
    assert met == ["none"] * 4


async def test_no_value_stands_in_errors_logs_or_the_desk(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """A validation error names its input by default; ours names a class."""
    canary = "Zyprexa-Canary-5551234"
    event = withdrawn(uuid4())
    body = codec.body_of(event).replace(b'"reason":"test"', f'"reason":"{canary}"'.encode())
    heard = Heard(fail=lambda _event: ValueError(canary))
    await bench.raw(record(event, value=body), record(withdrawn(uuid4())))
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked == 2)
    with pytest.raises(codec.BodyUnreadable) as raised:
        codec.event_of("due-withdrawn.v1", body)
    assert canary not in repr(raised.value)
    assert raised.value.__cause__ is None
    assert canary not in repr(await bench.query("SELECT error, type, headers FROM ~parked"))
    printed = capfd.readouterr()
    assert canary not in printed.out + printed.err


async def test_handlers_say_and_plan_with_their_cause(bench: Bench) -> None:
    async def tell(unit: Unit, event: DueWithdrawnV1) -> None:
        incident = ChannelIncidentV1(clinic_id=CLINIC, incident_id=uuid4(), state="opened", at=unit.now, reason="test")
        unit.emit(incident)

    ids = await bench.say(withdrawn(uuid4()))
    await bench.publish_all(bench.relay())
    heard = Heard(on_event=tell)
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.handled)  # committed, which what was heard need not be yet
    said = json.loads((await bench.query("SELECT CAST(headers AS text) FROM ~outbox"))[0][0])
    first = json.loads((await bench.query("SELECT CAST(headers AS text) FROM ~outbox", "scheduler"))[0][0])
    assert said["ce_causationid"] == str(ids[0])
    assert said["ce_correlationid"] == first["ce_correlationid"]
    assert await bench.count("due_work") == 1


async def test_a_restarted_consumer_knows_where_its_group_stands(bench: Bench) -> None:
    """Before it has committed anything itself; and partitions that go and come back are known again."""
    first = bench.consumer(bench.handling(Heard()))
    await bench.raw(*(record(withdrawn(uuid4(), n), partition=1) for n in range(3)))
    await until(lambda: first.positions() == {"due.v1:1": 3})
    await first.stop()
    second = bench.consumer(bench.handling(Heard()))
    await until(lambda: second.positions() == {"due.v1:1": 3})
    at = TopicPartition("due.v1", 1)
    await second._listener.on_partitions_revoked([at])
    await second._listener.on_partitions_assigned([at])
    await until(lambda: second.positions() == {"due.v1:1": 3})
    assert second.stuck_for() == 0.0
