"""One text, from its event to a phone, through each way that the provider can fail. The phone judges how many there were."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from services.notifier import said
from tests.integration.notifier.bench import Bench


async def test_a_dose_is_texted_once_and_its_delivery_is_said(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.hear(dose)
    await bench.settle()
    [text] = await bench.phone_of(patient)
    assert text["body"] == "Your 8:00 am reminder. Reply 1 when done, 2 to skip."
    assert (await bench.dose_message(dose)).state == "delivered"
    assert await bench.names() == ["message-sent", "message-delivered"]


@pytest.mark.parametrize("fault", ["drop-after-accept", "500-after-accept"])
async def test_accepted_but_the_answer_is_lost_is_one_text(bench: Bench, fault: str) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": fault, "times": 1}, {"fault": "late-callback", "times": 1, "delay": "PT5M"})
    await bench.hear(dose)
    await bench.settle()
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    await bench.forward(minutes=10)
    assert (await bench.dose_message(dose)).state == "delivered"
    assert len(await bench.phone_of(patient)) == 1
    assert await bench.names() == ["message-unconfirmed", "message-sent", "message-delivered"]


async def test_a_lost_answer_and_lost_callbacks_are_settled_by_list_and_fetch(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": "drop-after-accept", "times": 1}, {"fault": "lost-callback", "times": 1})
    await bench.hear(dose)
    await bench.settle()
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    await bench.forward(seconds=31)
    assert (await bench.dose_message(dose)).state in {"accepted", "sent", "delivered"}
    await bench.forward(minutes=12)
    assert (await bench.dose_message(dose)).state == "delivered"
    assert len(await bench.phone_of(patient)) == 1


async def test_a_hang_is_doubt_and_ends_as_unconfirmed_for_good(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": "hang", "times": 1})
    await bench.hear(dose)
    await bench.settle()
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    for minutes in (1, 2, 10, 60):
        await bench.forward(minutes=minutes)
    assert (await bench.dose_message(dose)).state == "unconfirmed"
    assert await bench.phone_of(patient) == []
    said = await bench.said("message-unconfirmed")
    assert [each["final"] for each in said] == [False, True]
    assert await bench.attempts() == ["given-up"]


async def test_429_is_not_sent_and_goes_later_once(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": "429", "times": 2})
    await bench.hear(dose)
    await bench.settle()
    assert (await bench.dose_message(dose)).state == "queued"
    await bench.forward(minutes=5)
    await bench.forward(minutes=5)
    assert (await bench.dose_message(dose)).state == "delivered"
    assert len(await bench.phone_of(patient)) == 1
    assert await bench.attempts() == ["not-sent", "not-sent", "taken"]


async def test_refused_connections_are_not_sent_then_one_incident(bench: Bench) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    base, bench.provider._base = bench.provider._base, "http://127.0.0.1:1"
    await bench.hear(dose)
    for _ in range(8):
        await bench.send()
        bench.runtime.clock.set(bench.now + timedelta(minutes=1))  # type: ignore[attr-defined]
    assert [each["state"] for each in await bench.said("channel-incident")] == ["opened"]
    bench.provider._base = base
    await bench.forward(minutes=5)
    assert [each["state"] for each in await bench.said("channel-incident")] == ["opened", "cleared"]
    assert len(await bench.phone_of(patient)) == 1


async def test_21610_takes_the_opt_out_and_never_tries_again(bench: Bench) -> None:
    patient = await bench.patient()
    dose, next_dose = bench.dose(patient), bench.dose(patient, slot_time="20:00")
    await bench.faults({"fault": "reject", "times": 1, "code": 21610})
    await bench.hear(dose)
    await bench.settle()
    refused = await bench.dose_message(dose)
    assert (refused.state, refused.why) == ("rejected", "opted-out")
    assert [each["how"] for each in await bench.said("patient-opted-out")] == ["provider"]
    await bench.hear(next_dose)
    await bench.settle()
    withheld = await bench.dose_message(next_dose)
    assert (withheld.state, withheld.why) == ("withheld", "opted-out")
    assert await bench.phone_of(patient) == []


@pytest.mark.parametrize("code", [21211, 21614])
async def test_a_number_that_takes_no_texts_is_suspect(bench: Bench, code: int) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": "reject", "times": 1, "code": code})
    await bench.hear(dose)
    await bench.settle()
    assert [each["why"] for each in await bench.said("number-suspect")] == ["invalid"]
    assert [each["why"] for each in await bench.said("message-withheld")] == ["rejected-by-provider"]


async def test_a_refused_account_opens_the_circuit_and_consumes_nothing(bench: Bench) -> None:
    patients = [await bench.patient() for _ in range(3)]
    doses = [bench.dose(each) for each in patients]
    await bench.faults({"fault": "reject", "times": 3, "code": 20003})
    for dose in doses:
        await bench.hear(dose)
    await bench.settle()
    assert {(await bench.dose_message(dose)).state for dose in doses} == {"queued"}
    assert [each["state"] for each in await bench.said("channel-incident")] == ["opened"]
    await bench.forward(minutes=2)
    await bench.forward(minutes=2)
    assert [each["state"] for each in await bench.said("channel-incident")] == ["opened", "cleared"]
    assert {len(await bench.phone_of(each)) for each in patients} == {1}


@pytest.mark.parametrize("fault", ["shuffled-callbacks", "doubled-callback"])
async def test_callbacks_in_any_order_and_number_end_the_same(bench: Bench, fault: str) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.faults({"fault": fault, "times": 1})
    await bench.hear(dose)
    await bench.settle()
    await bench.forward(minutes=10)
    assert (await bench.dose_message(dose)).state == "delivered"
    assert await bench.names() == ["message-sent", "message-delivered"]


async def test_what_became_of_a_text_counts_once_its_record_is_committed(bench: Bench) -> None:
    """Mutant: counting as it is said. A transaction that is rolled back and done again would count twice."""
    dose = bench.dose(await bench.patient())
    await bench.hear(dose)
    text, before = await bench.dose_message(dose), said.counted.copy()
    with suppress(KeyError):
        async with bench.runtime.unit() as unit:
            said.sent(unit, text, {})
            raise KeyError("bug")
    assert said.counted == before
    async with bench.runtime.unit() as unit:
        said.sent(unit, text, {})
    assert said.counted - before == Counter({("sent", ""): 1})
