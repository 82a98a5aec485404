"""Texts that come in, on a real database and by the provider's own webhook (reliability.md R23-R29, R41-R48, P8, P15, P16)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from twilio.request_validator import RequestValidator

from services.notifier import under_way
from services.notifier.storage.hearing_tables import open_question
from services.notifier.storage.tables import message
from shared.defaults import default
from shared.events.adherence import MessageRequestedV1
from tests.integration.notifier.bench import CLINIC, TOKEN, Bench
from tests.integration.notifier.texts_in import Door, asked_dose, dispositions, replies, rows, standing

pytestmark = pytest.mark.anyio

CANARY = "zebrafinch"


async def test_only_twilio_can_speak_as_twilio(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    form = door.form(who, f"1 {CANARY}")
    good = RequestValidator(TOKEN).compute_signature(door.url, form)
    twice = urlencode([*form.items(), ("Body", form["Body"])])
    other = form | {"AccountSid": "AC" + "b" * 32}
    attempts = [
        await door.post(form, signature=""),
        await door.post(form, token="another-token"),
        await door.post(form | {"Body": "STOP"}, signature=good),
        await door.raw(twice, good),
        await door.raw(twice, RequestValidator(TOKEN).compute_signature(door.url, form)),
        await door.post(other),
        await door.post({name: value for name, value in form.items() if name != "From"}),
    ]
    assert [answer.status_code for answer in attempts] == [403] * len(attempts)
    assert (await door.http.get(door.url)).status_code == 405
    assert await rows(bench) == []
    assert (await door.post(form)).status_code == 200
    assert len(await rows(bench)) == 1


@pytest.mark.parametrize("times", [2, 5])
async def test_a_repeated_webhook_has_one_effect(bench: Bench, door: Door, times: int) -> None:
    who = await bench.patient()
    occurrence = await asked_dose(bench, who)
    form = door.form(who, "1")
    answers = await asyncio.gather(*(door.post(form) for _ in range(times)))
    assert [answer.status_code for answer in answers] == [200] * times
    assert await dispositions(bench) == ["answer"]
    said = await replies(bench)
    assert [(each["answer"], each["occurrence_id"]) for each in said] == [("taken", str(occurrence))]


async def test_a_repeated_webhook_changes_a_contact_once(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    form = door.form(who, "en español")
    for _ in range(3):
        assert (await door.post(form)).status_code == 200
    known = await standing(bench, who)
    assert (known.language, known.version) == ("es", 2)
    assert await replies(bench) == []


async def test_texts_of_one_number_at_once_each_have_one_disposition(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await asked_dose(bench, who)
    bodies = ["1", "stop the nausea", "help", "I want to die", "pause 2 days", "\x00\U0001f62d", "x" * 10_000, "2"]
    answers = await asyncio.gather(*(door.post(door.form(who, body)) for body in bodies))
    assert [answer.status_code for answer in answers] == [200] * len(bodies)
    assert len(await rows(bench)) == len(bodies)
    assert "unknown-number" not in await dispositions(bench)


async def test_one_is_taken_and_structure_only(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    occurrence = await asked_dose(bench, who)
    await door.text(who, "1")
    (said,) = await replies(bench)
    assert (said["about"], said["answer"], said["occurrence_id"]) == ("dose", "taken", str(occurrence))


async def test_a_reply_quicker_than_its_sid_is_bound(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    event = bench.dose(who)
    await bench.hear(event)
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(
            message.update()
            .where(message.c.occurrence_id == event.occurrence_id)
            .values(state="attempting", epoch=message.c.epoch + 1)
        )
    await door.text(who, "taken")
    (said,) = await replies(bench)
    assert said["occurrence_id"] == str(event.occurrence_id)


async def test_words_we_cannot_read_reach_a_person_with_the_question_they_may_be_about(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    occurrence = await asked_dose(bench, who)
    await door.text(who, "I stopped taking it")
    (said,) = await replies(bench)
    assert (said["answer"], said["occurrence_id"]) == ("none", str(occurrence))
    assert await dispositions(bench) == ["not-understood"]
    assert not (await standing(bench, who)).opted_out


async def test_a_clarification_offers_the_instruments_range(bench: Bench, door: Door) -> None:
    who, occurrence = await bench.patient(), uuid4()
    async with bench.runtime.unit() as unit:
        times = {"asked_at": unit.now, "answer_until": unit.now + timedelta(days=1)}
        values = {"message_id": uuid4(), "clinic_id": CLINIC, "contact_id": who.id, "kind": "check-in", "instrument": "phq-2"}
        await unit.conn.execute(open_question.insert().values(**values, **times, occurrence_id=occurrence, item="down"))
    await door.text(who, "not great")
    (said,) = await replies(bench)
    assert (said["answer"], said["occurrence_id"]) == ("none", str(occurrence))
    ids = {"clinic_id": CLINIC, "patient_id": who.id, "request_id": uuid4(), "occurrence_id": occurrence}
    template = {"purpose": "clarification", "instrument": "clarify", "item": "score"}
    useful = bench.now + timedelta(minutes=15)
    await bench.hear(MessageRequestedV1(**ids, **template, running_conversation=True, useful_until=useful))
    await bench.settle()
    assert "from 0 to 3" in (await bench.phone_of(who))[-1]["body"]


async def test_a_side_effect_is_its_own_answer(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    occurrence = await asked_dose(bench, who)
    await door.text(who, "1 but I feel sick from it")
    assert [(each["answer"], each["occurrence_id"]) for each in await replies(bench)] == [
        ("taken", str(occurrence)),
        ("side-effect", str(occurrence)),
    ]


async def test_an_unknown_number_is_stored_and_not_answered(bench: Bench, door: Door) -> None:
    await door.text("+12125559999", "hello")
    assert await dispositions(bench) == ["unknown-number"]
    async with bench.runtime.unit() as unit:
        assert (await unit.conn.execute(select(func.count()).select_from(message))).scalar_one() == 0


async def test_no_text_or_number_in_events_rows_or_logs(bench: Bench, door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    who = await bench.patient()
    for body in (CANARY, f"I want to die {CANARY}", f"stop texting me {CANARY}", f"pause {CANARY}"):
        await door.text(who, body)
    await door.text("+12125559998", CANARY)
    said = json.dumps(await bench.said())
    async with bench.runtime.unit() as unit:
        names = [
            name
            for (name,) in (await unit.conn.exec_driver_sql("select tablename from pg_tables where schemaname='notifier'")).all()
        ]
        stored = [str((await unit.conn.exec_driver_sql(f'select t::text from notifier."{name}" t')).all()) for name in names]
        assert (await unit.conn.execute(select(func.count()).select_from(open_question))).scalar_one() == 0
    seen = capfd.readouterr()
    for secret in (CANARY, who.number, who.number[1:], "2125559998"):
        assert secret not in said
        assert secret not in seen.out + seen.err
        assert not any(secret in table for table in stored)
        assert not any(secret.encode().hex() in table for table in stored)


def test_the_numbers_are_the_charters() -> None:
    assert default("notifier", "stop_waits") == timedelta(seconds=12)
    assert default("notifier", "inbound_within") == timedelta(seconds=8)
    assert timedelta(seconds=12) == under_way.WAITS
