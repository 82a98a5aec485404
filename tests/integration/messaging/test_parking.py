"""What cannot be handled: tried again, parked, its key waiting behind it, replayed or let go (DESIGN.md rule 10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.errors import DomainError, Transient
from shared.events.due import DueWithdrawnV1
from shared.messaging.unit import Unit
from tests.integration.messaging.bench import CLINIC, QUICK, Bench, Heard, stopped, until, with_flood, withdrawn
from tests.integration.messaging.records import committed, parked, record


async def test_a_transient_failure_is_tried_again_and_then_parked(bench: Bench) -> None:
    heard, soon, never, tries = Heard(), uuid4(), uuid4(), [0]

    def fail(event: DueWithdrawnV1) -> BaseException | None:
        if event.patient_id == never:
            return Transient("busy")
        tries[0] += 1
        return Transient("busy") if tries[0] < 3 else None

    heard.fail = fail
    await bench.raw(record(withdrawn(soon, 1), partition=0), record(withdrawn(never), partition=0))
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: heard.of(soon) == [1] and handling.counts.parked == 1)
    assert await parked(bench) == [("parked", "Transient")]
    assert (await bench.query("SELECT attempts FROM ~parked"))[0][0] == len(QUICK.retry_pauses) + 1


async def test_a_key_is_parked_and_later_events_wait_behind_it(bench: Bench) -> None:
    heard, bad, other = Heard(), uuid4(), uuid4()
    heard.fail = lambda event: KeyError("bug") if event.patient_id == bad and event.occurrence_id.int == 1 else None
    await bench.say(withdrawn(bad, 1), withdrawn(bad, 2), withdrawn(other, 1), stopped(bad), withdrawn(bad, 3))
    await bench.publish_all(bench.relay())
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked_behind == 2 and heard.stops)
    assert sorted(await parked(bench), key=str) == [("behind", None), ("behind", None), ("parked", "KeyError")]
    # What may not wait did not, and nobody else's did.
    assert set(heard.stops) == {bad}  # noted in the batch that was rolled back as well
    assert set(heard.of(other)) == {1}
    assert heard.of(bad) == []


async def test_replay_goes_through_the_key_in_order(bench: Bench) -> None:
    heard, bad = Heard(), uuid4()
    broken = [True]
    heard.fail = lambda event: KeyError("bug") if broken[0] else None
    ids = await bench.say(*(withdrawn(bad, n) for n in range(3)))
    await bench.publish_all(bench.relay())
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked_behind == 2)
    desk = bench.desk(handling)
    with pytest.raises(DomainError) as behind:
        await desk.replay(ids[1], author="ops", reason="too soon")
    assert behind.value.status == 409
    assert await desk.replay(ids[0], author="ops", reason="still broken") == 0
    assert [event.attempts for event in await desk.open(CLINIC)] == [2, 0, 0]
    with pytest.raises(DomainError):
        await desk.replay(ids[0], author="ops", reason="not theirs", clinic_id=uuid4())
    broken[0] = False
    assert await desk.replay(ids[0], author="ops", reason="fixed") == 3
    assert heard.of(bad) == [0, 1, 2]
    assert await desk.open() == []
    assert b"fixed" not in b"".join(row[0] for row in await bench.query("SELECT reason FROM ~parked"))
    with pytest.raises(DomainError):
        await desk.replay(ids[0], author="ops", reason="again")


async def test_discard_lets_go_of_one_and_releases_the_rest(bench: Bench) -> None:
    heard, bad = Heard(), uuid4()
    heard.fail = lambda event: KeyError("bug") if event.occurrence_id.int == 0 else None
    ids = await bench.say(*(withdrawn(bad, n) for n in range(3)))
    await bench.publish_all(bench.relay())
    handling = bench.handling(heard)
    bench.consumer(handling)
    await until(lambda: handling.counts.parked_behind == 2)
    assert await bench.desk(handling).discard(ids[0], author="ops", reason="never mind") == 2
    assert heard.of(bad) == [1, 2]
    states = await bench.query("SELECT state, resolved_by FROM ~parked ORDER BY seq")
    assert [tuple(row) for row in states] == [("discarded", "ops"), ("replayed", "ops"), ("replayed", "ops")]


async def test_a_flood_of_failures_stops_consuming(bench: Bench) -> None:
    heard = Heard(fail=lambda _event: KeyError("our own bug"))
    await bench.raw(*(record(withdrawn(uuid4(), n), partition=1) for n in range(10)))
    handling = bench.handling(heard)
    consumer = bench.consumer(handling, with_flood(3))
    await until(lambda: consumer.delivery.flooded is not None)
    await until(lambda: not consumer.connected() and consumer.assigned() == 0)
    assert len(await parked(bench)) == 3
    assert await committed(bench) == 3


async def test_a_consumer_that_makes_no_progress_is_called_stuck(bench: Bench) -> None:
    """Records wait and the handler never comes back: the watchdog says so, whatever the consumer itself believes."""
    heard = Heard()
    never = asyncio.Event()

    async def hang(_unit: Unit, _event: DueWithdrawnV1) -> None:
        await never.wait()

    heard.on_event = hang
    await bench.raw(record(withdrawn(uuid4())))
    consumer = bench.consumer(bench.handling(heard), replace(QUICK, stuck_after=0.3))
    await until(lambda: consumer.in_flight() == 1)
    await until(lambda: consumer.stuck_for() > 0.3)
    never.set()
    await until(lambda: consumer.stuck_for() == 0.0)
