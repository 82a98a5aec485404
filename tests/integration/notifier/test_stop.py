"""STOP, START and plain words for them: from a webhook, in any order, by the poll (reliability.md R23-R29, P8, P15, P16)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import permutations
from uuid import UUID

import pytest

from services.notifier.hearing import hear
from services.notifier.inbound_poll import InboundPass
from services.notifier.storage import contact_rows, wishes
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import contact, opt_signal
from services.notifier.storage.hearing_tables import inbound as inbound_table
from services.notifier.storage.tables import message
from shared.clock import ClockPage
from tests.integration.notifier.bench import CLINIC, LINE, Bench, Someone, until
from tests.integration.notifier.texts_in import Door, dispositions, queued, rows, standing

pytestmark = pytest.mark.anyio


async def test_stop_ends_the_texts_and_start_begins_them_again(bench: Bench, door: Door) -> None:
    """By the simulator, which answers STOP and START itself as Twilio does; clinical time stands still in between."""
    who = await bench.patient()
    hearing = InboundPass(bench.runtime, bench.provider)
    for word in ("STOP", "START", "STOP", "START"):
        posted = await bench.http.post("/phone/replies", json={"from": who.number, "to": LINE, "body": word})
        assert posted.status_code == 202, posted.text
        while await hearing.run(bench.now):
            pass
        assert (await standing(bench, who)).opted_out is (word == "STOP")
    assert await dispositions(bench) == ["opt-out", "opt-in", "opt-out", "opt-in"]
    # Twilio has answered; we say nothing twice.
    assert await queued(bench, "opt-out-confirmation") == []
    assert [each["type"].split(".")[0] for each in await bench.said("patient-opted-out", "patient-opted-in")] == [
        "patient-opted-out",
        "patient-opted-in",
    ] * 2


async def test_a_stop_replayed_after_a_later_start_changes_nothing(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    stop = door.form(who, "STOP", OptOutType="STOP")
    await door.post(stop)
    async with bench.runtime.unit() as unit:
        await unit.lock(who.id)
        await wishes.time_signals(unit, (await rows(bench))[0].id, bench.now)
        await wishes.opt_in(unit, who.id, "staff")
    assert not (await standing(bench, who)).opted_out
    assert (await door.post(stop)).status_code == 200
    assert not (await standing(bench, who)).opted_out


@pytest.mark.parametrize("last", ["STOP", "START"])
async def test_all_orders_of_arrival_end_the_same(bench: Bench, last: str) -> None:
    """STOP, HELP and START by the provider's time; the webhooks in every order, each twice."""
    told = {"STOP": 1, "HELP": 2, "START": 0 if last == "STOP" else 3}
    for order in permutations(told):
        who = await bench.patient()
        for word in (*order, *order):
            sent_at = bench.now + timedelta(seconds=told[word])
            text = Inbound(f"SM{who.id.hex}{word}", who.number, LINE, word, "webhook", opt_out_type=word, sent_at=sent_at)
            async with bench.runtime.unit() as unit:
                await hear(unit, text, CLINIC)
        assert (await standing(bench, who)).opted_out is (last == "STOP"), order


async def test_yes_and_chatter_begin_nothing(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "please stop texting me")
    for body in ("YES", "hello", "1", "I started the pills"):
        await door.text(who, body)
    assert (await standing(bench, who)).opted_out


async def test_own_words_get_exactly_one_confirmation(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "please don't text me")
    await door.text(who, "I said stop texting me")
    await bench.settle()
    assert len(await queued(bench, "opt-out-confirmation")) == 1
    assert [text["body"][:29] for text in await bench.phone_of(who)] == ["You will get no more texts fr"]


async def test_stop_of_a_shared_number_counts_for_both(bench: Bench, door: Door) -> None:
    one, other = await bench.patient(), await bench.patient()
    async with bench.runtime.unit() as unit:
        sealed = contact_rows.seal(unit, other.id, "number", one.number)
        index = contact_rows.number_index(unit, one.number)
        await unit.conn.execute(contact.update().where(contact.c.id == other.id).values(number_sealed=sealed, number_index=index))
    await door.text(one, "STOP", OptOutType="STOP")
    assert (await standing(bench, one)).opted_out
    assert (await standing(bench, other)).opted_out
    assert {each["patient_id"] for each in await bench.said("patient-opted-out")} == {str(one.id), str(other.id)}


async def test_stop_waits_for_the_text_under_way(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    event = bench.dose(who)
    await bench.hear(event)
    await _state(bench, event.occurrence_id, "attempting")
    waiting = asyncio.create_task(door.post(door.form(who, "STOP", OptOutType="STOP")))

    async def opted_out() -> bool:
        return (await standing(bench, who)).opted_out

    await until(opted_out, "the opt-out on record")
    # Committed, and not answered while a request may be on its way.
    done, _pending = await asyncio.wait({waiting}, timeout=0.4)
    assert not done
    await _state(bench, event.occurrence_id, "accepted")
    assert (await asyncio.wait_for(waiting, 15)).status_code == 200


async def _state(bench: Bench, occurrence: UUID, state: str) -> None:
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(
            message.update().where(message.c.occurrence_id == occurrence).values(state=state, epoch=message.c.epoch + 1)
        )


async def test_a_stop_that_no_webhook_brought_is_found_by_the_poll(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    hearing = InboundPass(bench.runtime, bench.provider)
    assert await hearing.run(bench.now) == 0
    await bench.http.post("/phone/replies", json={"from": who.number, "to": LINE, "body": "STOP"})
    await _forget_what_came(bench, who)
    assert await hearing.run(bench.now) == 0
    assert isinstance(bench.runtime.clock, ClockPage)
    bench.runtime.clock.set(bench.now + timedelta(hours=1))
    assert await hearing.run(bench.now) == 1
    assert (await standing(bench, who)).opted_out
    (row,) = await rows(bench)
    assert (row.came_by, row.disposition) == ("poll", "opt-out")
    assert await hearing.run(bench.now) == 0


async def _forget_what_came(bench: Bench, who: Someone) -> None:
    """As if the webhook had never reached us: the provider has the text, we do not."""
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(inbound_table.delete())
        await unit.conn.execute(opt_signal.delete())
        cleared = {"opted_out": False, "opted_out_at": None, "opted_out_by": None}
        await unit.conn.execute(contact.update().where(contact.c.id == who.id).values(**cleared))
