"""The promises that a text is sent at most once and never past a gate, each where it is easiest to break: around the commit of
`attempting`, around the locks, and after a time-out. Three of these tests are what the mutants of tests/mutants must fail."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.notifier.domain.message import MOVES, STATES
from services.notifier.domain.templates import load
from services.notifier.sender import Sender
from services.notifier.storage import wishes
from services.notifier.twilio_client import Provider
from shared.clock import ClockPage
from tests.integration.notifier.bench import Bench, until
from tests.integration.notifier.conftest import Place
from tests.support.proxy import Proxy

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def proxy(bench: Bench, simulator: Place) -> AsyncIterator[Proxy]:
    """Between the bench's sender and the simulator."""
    between = Proxy(simulator.phone_port)
    await between.start()
    bench.provider._base = f"http://127.0.0.1:{between.port}"
    yield between
    await between.stop()


async def other_sender(place: Place, proxy: Proxy) -> asyncio.subprocess.Process:
    """A sender as a process of its own, to be killed."""
    environment = {**os.environ, **place.environment, "STEADYPATH_TWILIO_API_BASE": f"http://127.0.0.1:{proxy.port}"}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.support.one_sender", cwd=ROOT, env=environment)


async def states(bench: Bench) -> list[str]:
    """As another connection sees them: what is committed."""
    async with bench.runtime.engine.connect() as conn:
        return list((await conn.execute(text("SELECT state FROM notifier.message ORDER BY created_at, id"))).scalars())


async def test_attempting_is_committed_before_the_request_begins(bench: Bench, proxy: Proxy) -> None:
    """Mutant: no `attempting` commit before the POST."""
    patient = await bench.patient()
    seen: list[str] = []

    async def look(_request: bytes) -> None:
        seen.extend(await states(bench))

    proxy.on_request = look
    await bench.hear(bench.dose(patient))
    await bench.send()
    assert seen == ["attempting"]


async def test_a_text_whose_answer_timed_out_is_never_sent_again(bench: Bench, proxy: Proxy) -> None:
    """Mutant: a retry after a time-out. The provider has taken it; neither its answer nor a callback ever comes."""
    patient = await bench.patient()
    await bench.faults({"fault": "lost-callback", "times": 1})
    dose = bench.dose(patient)
    proxy.holding = True
    await bench.hear(dose)
    await bench.send()
    proxy.holding = False
    await bench.forward(minutes=5)
    await bench.forward(minutes=30)
    assert len(await bench.phone_of(patient)) == 1
    assert await bench.attempts() == ["taken"]
    assert (await bench.dose_message(dose)).state == "delivered"


async def test_a_stop_that_commits_first_holds_every_text_back(bench: Bench) -> None:
    """Mutant: the gate outside its lock. The STOP's transaction is open when the gate begins; the gate must wait for it."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    async with bench.runtime.unit() as stop:
        await stop.lock(patient.id)
        await wishes.opt_out(stop, patient.id, "staff")
        sending = asyncio.create_task(bench.send())
        await until(lambda: waits_or_done(bench, sending), "the gate has come to the lock, or through without it")
    await sending
    await bench.settle()
    assert await bench.phone_of(patient) == []
    withheld = await bench.dose_message(dose)
    assert (withheld.state, withheld.why) == ("withheld", "opted-out")


async def waits_or_done(bench: Bench, sending: asyncio.Task[None]) -> bool:
    if sending.done():
        return True
    async with bench.runtime.engine.connect() as conn:
        waiting = await conn.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        return bool(waiting.scalar_one())


async def test_killed_between_commit_and_request_is_no_text_and_said_so(bench: Bench, simulator: Place, proxy: Proxy) -> None:
    patient = await bench.patient()
    arrived = asyncio.Event()

    async def keep_back(_request: bytes) -> None:
        arrived.set()
        await asyncio.Event().wait()

    proxy.on_request = keep_back
    dose = bench.dose(patient)
    await bench.hear(dose)
    other = await other_sender(simulator, proxy)
    await asyncio.wait_for(arrived.wait(), 20)
    assert await states(bench) == ["attempting"]
    other.kill()
    await other.wait()
    bench.provider._base = simulator.phone
    await bench.send()
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    for minutes in (1, 2, 10, 60):
        await bench.forward(minutes=minutes)
    assert await bench.phone_of(patient) == []
    assert [each["final"] for each in await bench.said("message-unconfirmed")] == [False, True]


async def test_killed_after_the_provider_took_it_is_one_text_and_found(bench: Bench, simulator: Place, proxy: Proxy) -> None:
    patient = await bench.patient()
    await bench.faults({"fault": "lost-callback", "times": 1})
    dose = bench.dose(patient)
    await bench.hear(dose)
    proxy.holding = True
    other = await other_sender(simulator, proxy)
    await proxy.until(lambda: proxy.held > 0, 20)
    other.kill()
    await other.wait()
    bench.provider._base = simulator.phone
    await bench.send()
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    await bench.forward(minutes=1)
    await bench.forward(minutes=15)
    assert (await bench.dose_message(dose)).state == "delivered"
    assert len(await bench.phone_of(patient)) == 1


async def test_two_senders_never_send_one_text_twice(bench: Bench) -> None:
    patients = [await bench.patient() for _ in range(30)]
    for patient in patients:
        await bench.hear(bench.dose(patient))
    second = Sender(bench.runtime, bench.provider, load())
    while await bench.due():
        await asyncio.gather(bench.sender.run(bench.now), second.run(bench.now))
        await asyncio.gather(*bench.sender._tasks.values(), *second._tasks.values())
    await bench.settle()
    assert {len(await bench.phone_of(patient)) for patient in patients} == {1}
    assert await bench.attempts() == ["taken"] * 30


async def test_a_request_not_begun_within_two_seconds_is_put_back(bench: Bench) -> None:
    """A process that was frozen between commit and request: the next gate decides."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    async with bench.runtime.unit() as unit:
        _, [letter] = await bench.sender._through_gate(unit, 5)
    await bench.sender._deliver(letter, committed_at=asyncio.get_running_loop().time() - 2.1)
    assert (await bench.dose_message(dose)).state == "queued"
    assert await bench.attempts() == ["not-begun"]
    await bench.settle()
    assert len(await bench.phone_of(patient)) == 1


async def test_a_second_sid_for_one_attempt_is_an_alarm(bench: Bench) -> None:
    """As if something between us and the provider had repeated the request."""
    patient = await bench.patient()
    await bench.hear(bench.dose(patient))
    async with bench.runtime.unit() as unit:
        _, [letter] = await bench.sender._through_gate(unit, 5)
    again = replace(letter, body=letter.body)
    now = asyncio.get_running_loop().time()
    first = await bench.provider.send(letter, committed_at=now)
    second = await bench.provider.send(again, committed_at=now)
    for outcome in (first, second):
        await bench.sender._learn(letter, outcome)
    async with bench.runtime.engine.connect() as conn:
        kinds = set((await conn.execute(text("SELECT kind FROM notifier.ops_notice"))).scalars())
    assert "duplicate-sid" in kinds


async def test_no_state_moves_where_the_machine_has_no_move(bench: Bench) -> None:
    """From psql as well: the trigger knows the same moves as the code."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    change = (
        "UPDATE notifier.message SET state = :state, epoch = epoch + 1, why = :why, carried_by = :carried WHERE kind = 'dose'"
    )
    for origin in STATES:
        for target in STATES:
            moved = await moves(bench, change, origin, target)
            assert moved == (target == origin or target in MOVES[origin]), (origin, target)


async def moves(bench: Bench, change: str, origin: str, target: str) -> bool:
    """Whether the database lets a text move so. What the test does is rolled back."""
    async with bench.runtime.engine.connect() as conn:
        await conn.execute(text("ALTER TABLE notifier.message DISABLE TRIGGER message_moves"))
        [found] = (await conn.execute(text("SELECT id FROM notifier.message"))).scalars()
        await conn.execute(text(change), {"state": origin, **needs(origin, found)})
        await conn.execute(text("ALTER TABLE notifier.message ENABLE TRIGGER message_moves"))
        try:
            await conn.execute(text(change), {"state": target, **needs(target, found)})
        except IntegrityError:
            return False
        finally:
            await conn.rollback()
        return True


def needs(state: str, found: object) -> dict[str, object]:
    return {
        "why": "withdrawn" if state in {"withheld", "expired", "rejected"} else None,
        "carried": found if state == "carried" else None,
    }


async def test_a_text_stands_still_while_its_sender_is_frozen_and_its_lease_runs(bench: Bench) -> None:
    """An attempt is nobody else's before its lease has run out, however far clinical time moves."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    async with bench.runtime.unit() as unit:
        _, letters = await bench.sender._through_gate(unit, 5)
    assert len(letters) == 1
    assert isinstance(bench.runtime.clock, ClockPage)
    bench.runtime.clock.set(bench.now + timedelta(minutes=30))
    other = Sender(bench.runtime, Provider(bench.runtime.settings), load())
    assert await other.run(bench.now) == 0
    assert other.in_flight() == 1
    assert (await bench.dose_message(dose)).state == "attempting"
