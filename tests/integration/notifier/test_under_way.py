"""What is heard while a text is under way, and who may be texted for whom: withdrawals, reissues and acknowledgements that meet a
request, texts that the poll brings late, contacts of another clinic, numbers put on file while a STOP comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from services.notifier import channel
from services.notifier.hearing import hear
from services.notifier.storage import clinics, contact_rows, contacts, wishes
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import clinic_settings, open_question
from services.notifier.storage.messages import Message
from services.notifier.storage.tables import message
from shared.events.adherence import AlertAcknowledgedV1, AlertEscalatedV1
from shared.events.base import stable_id
from shared.events.due import DueWithdrawnV1
from shared.identity import bootstrap
from tests.integration.notifier.bench import CLINIC, LINE, START, Bench, Someone, until
from tests.integration.notifier.conftest import Place
from tests.integration.notifier.texts_out import alert, raised

pytestmark = pytest.mark.anyio
BUSY = {"fault": "429", "times": 1}


async def under_way(bench: Bench, key: str) -> Message:
    """One pass of the sender: the text is put down as attempting and its request has begun; nothing of it is recorded yet."""
    await bench.sender.run(bench.now)
    text = await bench.message(key)
    assert text.state == "attempting"
    return text


# --- heard between the gate and an answer that proves that nothing left ------


async def test_a_page_that_comes_back_to_the_queue_after_the_acknowledgement_is_never_sent(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await bench.faults(BUSY)
    snapshot = alert(bench, patient, nurse, severity="high")
    await bench.hear(raised(patient, snapshot))
    await under_way(bench, f"alert/{snapshot.alert_id}/1")
    over = snapshot.model_copy(update={"state": "acknowledged"})
    await bench.hear(
        AlertAcknowledgedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=2, alert=over, by=None, how="board")
    )
    await bench.settle()
    await bench.forward(minutes=5)
    assert await bench.attempts() == ["not-sent"]
    assert await bench.phone_of(nurse) == []
    assert [each["why"] for each in await bench.said("message-withheld")] == ["withdrawn"]


def withdrawn(bench: Bench, who: Someone, occurrence: UUID, version: int) -> DueWithdrawnV1:
    values: dict[str, Any] = {"clinic_id": CLINIC, "patient_id": who.id, "occurrence_id": occurrence}
    return DueWithdrawnV1(**values, plan_version=version, kind="dose-due", reason="settled")


async def test_a_withdrawal_is_remembered_by_a_text_that_is_under_way(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.faults(BUSY)
    dose = bench.dose(patient)
    await bench.hear(dose)
    await under_way(bench, f"occurrence/{dose.occurrence_id}")
    await bench.hear(withdrawn(bench, patient, dose.occurrence_id, 1))
    await bench.settle()
    await bench.forward(minutes=5)
    assert await bench.phone_of(patient) == []
    assert [each["why"] for each in await bench.said("message-withheld")] == ["withdrawn"]


async def test_a_reissue_is_remembered_by_a_text_that_is_under_way(bench: Bench) -> None:
    """The scheduler says each version once: a reissue that is let pass here would be a dose that nobody is asked about."""
    patient = await bench.patient()
    await bench.faults(BUSY)
    dose = bench.dose(patient)
    await bench.hear(dose)
    await under_way(bench, f"occurrence/{dose.occurrence_id}")
    await bench.plan(patient, 2)
    await bench.hear(bench.dose(patient, occurrence=dose.occurrence_id, version=2))
    await bench.settle()
    await bench.forward(minutes=5)
    assert len(await bench.phone_of(patient)) == 1
    assert await bench.said("message-withheld") == []


async def test_a_reissue_after_a_withdrawal_asks_again(bench: Bench) -> None:
    patient = await bench.patient()
    await bench.faults(BUSY)
    dose = bench.dose(patient)
    await bench.hear(dose)
    await under_way(bench, f"occurrence/{dose.occurrence_id}")
    await bench.hear(withdrawn(bench, patient, dose.occurrence_id, 2))
    await bench.plan(patient, 3)
    await bench.hear(bench.dose(patient, occurrence=dose.occurrence_id, version=3))
    await bench.settle()
    await bench.forward(minutes=5)
    assert len(await bench.phone_of(patient)) == 1


# --- alerts ------


async def test_a_reminder_of_the_same_step_is_a_page_of_its_own(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    snapshot = alert(bench, patient, nurse, severity="crisis", kind="crisis")
    await bench.hear(raised(patient, snapshot))
    await bench.settle()
    call = snapshot.model_copy(update={"no_text_possible": True})
    again = AlertEscalatedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=2, alert=call, why="reminder")
    await bench.hear(again)
    await bench.hear(again)
    await bench.settle()
    texts = [text["body"] for text in await bench.phone_of(nurse)]
    assert len(texts) == 2
    assert "no text possible: call" in texts[1]


# --- late, by the poll ------


async def test_an_answer_that_the_poll_brings_belongs_to_what_had_been_asked_when_it_was_written(bench: Bench) -> None:
    patient = await bench.patient()
    morning = bench.dose(patient)
    await bench.hear(morning)
    await bench.settle()
    await bench.forward(minutes=50)
    noon = bench.dose(patient, slot_id="noon")
    await bench.hear(noon)
    await bench.settle()
    await bench.forward(minutes=5)
    wrote = START + timedelta(minutes=7)
    polled = Inbound("SM" + "0" * 32, patient.number, LINE, "1", "poll", sent_at=wrote)
    async with bench.runtime.unit() as unit:
        await hear(unit, polled, CLINIC)
    [said] = await bench.said("reply-received")
    assert said["occurrence_id"] == str(morning.occurrence_id)
    assert said["at"].startswith("2026-11-23T13:07:00")
    async with bench.runtime.unit() as unit:
        open_still = (
            await unit.conn.execute(select(open_question.c.occurrence_id).where(open_question.c.answered_at.is_(None)))
        ).scalars()
        assert list(open_still) == [noon.occurrence_id]
        known = await contact_rows.needed(unit, patient.id)
    assert known.last_inbound_at is not None
    assert known.last_inbound_at < START + timedelta(minutes=8)


# --- whose contact ------


async def test_no_clinic_texts_another_clinics_contact(bench: Bench) -> None:
    """Ids can be computed by whoever knows a clinic's name: an event of one clinic about a person of another reaches nobody."""
    patient, nurse = await bench.patient(), await bench.staff()
    other = stable_id("clinic", "another")
    await bench.hear(bench.dose(patient).model_copy(update={"clinic_id": other}))
    page = raised(patient, alert(bench, patient, nurse, severity="high")).model_copy(update={"clinic_id": other})
    await bench.hear(page)
    await bench.settle()
    assert await bench.phone_of(patient) == []
    assert await bench.phone_of(nurse) == []
    assert [each["why"] for each in await bench.said("message-withheld")] == ["no-contact", "no-contact"]


async def test_another_clinics_label_stands_in_no_text(bench: Bench) -> None:
    patient, medicine = await bench.patient(), uuid4()
    async with bench.runtime.unit() as unit:
        await clinics.put_labels(unit, stable_id("clinic", "another"), {patient.id: {medicine: "zebrafinch"}})
        facts = await contacts.gate_facts(unit, [patient.id])
    assert dict(facts[patient.id].labels) == {}


# --- a STOP and a contact that is being put on file ------


async def _by_itself(http: httpx.AsyncClient, number: str) -> str:
    answer = await http.put("/notifier/patients/newcomer", json={"name": "N", "phone": number})
    assert answer.status_code == 200, answer.text
    return "patient"


async def _of_the_team(http: httpx.AsyncClient, number: str) -> str:
    answer = await http.put("/notifier/people/newcomer", json={"name": "N", "phone": number, "roles": ["therapist"]})
    assert answer.status_code == 200, answer.text
    return "person"


async def _in_bulk(http: httpx.AsyncClient, number: str) -> str:
    item = {"patient": "newcomer", "contact": {"name": "N", "phone": number}}
    answer = await http.post("/notifier/bulk/contacts", json={"patients": [item]})
    assert answer.json()["patients"][0]["outcome"] == "created", answer.text
    return "patient"


@pytest.mark.parametrize("put", [_by_itself, _of_the_team, _in_bulk])
async def test_a_stop_counts_for_whoever_is_put_on_the_number_at_that_moment(
    bench: Bench, place: Place, put: Callable[[httpx.AsyncClient, str], Awaitable[str]]
) -> None:
    """The STOP is not yet committed when the contact is put: the put waits for it, and finds the number stopped."""
    first = await bench.patient()
    stop = Inbound("SM" + "1" * 32, first.number, LINE, "STOP", "webhook")
    async with bench.runtime.unit() as unit:
        await bootstrap(unit.conn, "notifier", CLINIC, "spk_key-of-this-test", unit.now)
    headers = {"Authorization": "Bearer spk_key-of-this-test"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.web_port}", headers=headers, timeout=20) as http:
        async with bench.runtime.unit() as unit:
            await hear(unit, stop, CLINIC)
            putting = asyncio.ensure_future(put(http, first.number))
            await asyncio.wait([putting], timeout=0.5)
        newcomer = stable_id(CLINIC, await putting, "newcomer")
    async with bench.runtime.unit() as unit:
        known = await contact_rows.some(unit, [first.id, newcomer])
    assert [each.opted_out for each in known.values()] == [True, True]


# --- staff take an opt-out; the channel is everybody's --------------------------------------------------------------------------


async def test_an_opt_out_by_staff_is_answered_once_no_text_is_under_way(bench: Bench, place: Place) -> None:
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    await state(bench, dose.occurrence_id, "attempting")
    async with bench.runtime.unit() as unit:
        await bootstrap(unit.conn, "notifier", CLINIC, "spk_key-of-this-test", unit.now)
    headers = {"Authorization": "Bearer spk_key-of-this-test"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.web_port}", headers=headers, timeout=20) as http:
        path = f"/notifier/patients/{patient.id}/opt-out"
        waiting = asyncio.create_task(http.post(path, json={"reason": "told at the desk"}))

        async def opted_out() -> bool:
            async with bench.runtime.unit() as unit:
                return (await contact_rows.needed(unit, patient.id)).opted_out

        await until(opted_out, "the opt-out on record")
        assert not waiting.done()
        await state(bench, dose.occurrence_id, "accepted")
        assert (await asyncio.wait_for(waiting, 15)).status_code == 200


async def state(bench: Bench, occurrence: UUID, to: str) -> None:
    async with bench.runtime.unit() as unit:
        mine = message.update().where(message.c.occurrence_id == occurrence)
        await unit.conn.execute(mine.values(state=to, epoch=message.c.epoch + 1))


async def test_every_clinic_hears_that_the_channel_is_down(bench: Bench) -> None:
    """They text through one account; silence meanwhile is no patient's, whichever clinic's text found it out."""
    other = stable_id("clinic", "another")
    async with bench.runtime.unit() as unit:
        settings: dict[str, Any] = {"name": "D", "zone": "UTC", "country": "US", "sender": LINE, "language": "en"}
        await unit.conn.execute(clinic_settings.insert().values(clinic_id=other, **settings, changed_at=unit.now))
        await channel.failed(unit, CLINIC, "unreachable")
    async with bench.runtime.unit() as unit:
        await channel.works(unit)
    said = await bench.said("channel-incident")
    assert {(each["clinic_id"], each["state"]) for each in said} == {
        (str(clinic), state) for clinic in (CLINIC, other) for state in ("opened", "cleared")
    }
    assert len({each["incident_id"] for each in said}) == 2


async def test_a_patients_pause_does_not_shorten_the_one_that_staff_have_put(bench: Bench) -> None:
    """Three days of PAUSE over an admission without an end would have begun the texts again on the ward."""
    patient = await bench.patient()
    for by, end in (("by-staff", None), ("by-patient", bench.now + timedelta(days=3))):
        async with bench.runtime.unit() as unit:
            await unit.lock(patient.id)
            await wishes.pause(unit, patient.id, by, end)  # type: ignore[arg-type]
    async with bench.runtime.unit() as unit:
        known = await contact_rows.needed(unit, patient.id)
    assert (known.texts_paused, known.paused_until) == ("by-staff", None)
