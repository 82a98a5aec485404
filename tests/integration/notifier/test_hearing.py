"""Texts that come in, on a real database and by the provider's own webhook (reliability.md R23-R29, R41-R48, P8, P15, P16)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select
from twilio.request_validator import RequestValidator

from services.notifier import crisis_watch, under_way
from services.notifier.handlers.crisis import FIRES
from services.notifier.hearing import hear
from services.notifier.inbound_poll import InboundPass
from services.notifier.storage import contact_rows, wishes
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import clinic_settings, contact, open_question, opt_signal
from services.notifier.storage.hearing_tables import inbound as inbound_table
from services.notifier.storage.tables import message, open_alert
from shared.clock import ClockPage
from shared.db import tables_of
from shared.defaults import default
from shared.events.adherence import CrisisFlaggedV1, MessageRequestedV1
from shared.messaging.work import WorkItem
from tests.integration.notifier.bench import CLINIC, LINE, Bench, Someone
from tests.integration.notifier.conftest import ACCOUNT, TOKEN, Place

pytestmark = pytest.mark.anyio
CANARY = "zebrafinch"


class Door:
    """Posts to the inbound webhook as Twilio does."""

    def __init__(self, http: httpx.AsyncClient, public: str) -> None:
        self.http, self.url = http, f"{public}/notifier/twilio/inbound"

    def form(self, who: Someone | str, body: str, **more: str) -> dict[str, str]:
        number = who if isinstance(who, str) else who.number
        sid = more.pop("sid", f"SM{uuid4().hex}")
        fields = {"MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT, "From": number, "To": LINE, "Body": body}
        return fields | {"NumMedia": "0", "SmsStatus": "received", "ApiVersion": "2010-04-01"} | more

    async def post(self, form: dict[str, str], *, token: str = TOKEN, signature: str | None = None) -> httpx.Response:
        signed = RequestValidator(token).compute_signature(self.url, form) if signature is None else signature
        return await self.raw(urlencode(form), signed)

    async def raw(self, body: str, signature: str) -> httpx.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if signature:
            headers["X-Twilio-Signature"] = signature
        return await self.http.post(self.url, content=body, headers=headers)

    async def text(self, who: Someone | str, body: str, **more: str) -> httpx.Response:
        answer = await self.post(self.form(who, body, **more))
        assert answer.status_code == 200, answer.text
        assert answer.text.endswith("<Response/>")
        return answer


@pytest.fixture
async def door(bench: Bench, place: Place) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(timeout=20) as http:
        yield Door(http, f"http://127.0.0.1:{place.web_port}")


async def rows(bench: Bench) -> list[Any]:
    async with bench.runtime.unit() as unit:
        return list((await unit.conn.execute(select(inbound_table).order_by(inbound_table.c.seq))).all())


async def dispositions(bench: Bench) -> list[str]:
    return [row.disposition for row in await rows(bench)]


async def standing(bench: Bench, who: Someone) -> contact_rows.Contact:
    async with bench.runtime.unit() as unit:
        return await contact_rows.needed(unit, who.id)


async def queued(bench: Bench, kind: str) -> list[Any]:
    async with bench.runtime.unit() as unit:
        found = await unit.conn.execute(select(message).where(message.c.kind == kind).order_by(message.c.created_at))
        return list(found.all())


async def asked_dose(bench: Bench, who: Someone) -> UUID:
    """A dose text that has gone; its occurrence."""
    event = bench.dose(who)
    await bench.hear(event)
    await bench.settle()
    return event.occurrence_id


async def replies(bench: Bench) -> list[dict[str, Any]]:
    return await bench.said("reply-received")


# --- the door -----------------------------------------------------------------------------------------------------------------


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


# --- answers ------------------------------------------------------------------------------------------------------------------


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


# --- STOP ---------------------------------------------------------------------------------------------------------------------


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
    for _ in range(100):
        if (await standing(bench, who)).opted_out:
            break
        await asyncio.sleep(0.02)
    done, _pending = await asyncio.wait({waiting}, timeout=0.4)
    # Committed, and not answered while a request may be on its way.
    assert (await standing(bench, who)).opted_out
    assert not done
    await _state(bench, event.occurrence_id, "accepted")
    assert (await asyncio.wait_for(waiting, 5)).status_code == 200


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


# --- risk wording -------------------------------------------------------------------------------------------------------------


async def test_risk_gets_the_safe_reply_and_pauses_the_texts(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, f"I want to die {CANARY}")
    await bench.settle()
    assert "988" in (await bench.phone_of(who))[-1]["body"]
    assert (await standing(bench, who)).texts_paused == "crisis"
    (heard,) = await bench.said("risk-heard")
    assert (heard["category"], heard["safe_reply"]) == ("suicide", "sent")
    # No text resumes a crisis pause.
    await door.text(who, "resume")
    assert (await standing(bench, who)).texts_paused == "crisis"


async def test_risk_and_opt_out_in_one_text_safe_reply_first_then_the_opt_out_stands(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "stop texting me I want to kill myself")
    await bench.settle()
    assert "988" in (await bench.phone_of(who))[0]["body"]
    assert (await standing(bench, who)).opted_out
    # After an earlier opt-out no safe reply goes: the alert says call.
    await door.text(who, "I want to die")
    await bench.forward(minutes=1)
    assert sum("988" in text["body"] for text in await bench.phone_of(who)) == 1
    assert [each["safe_reply"] for each in await bench.said("risk-heard")] == ["sent", "no-text-possible"]


async def test_no_more_than_three_safe_replies_an_hour(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    for _ in range(5):
        await door.text(who, "I want to die")
    assert len(await queued(bench, "safe-reply")) == 3
    assert len(await bench.said("risk-heard")) == 5


async def test_no_more_than_five_other_answers_an_hour(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    for _ in range(8):
        await door.text(who, "help!")
    assert len(await queued(bench, "help")) == 5
    assert await dispositions(bench) == ["help"] * 8


async def test_the_crisis_watch_pages_until_it_is_flagged(bench: Bench, door: Door) -> None:
    who, on_call = await bench.patient(), await bench.staff()
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(clinic_settings.update().values(crisis_contact_id=on_call.id))
    await door.text(who, "I want to die")
    assert await _fire(bench, crisis_watch.WATCH) == 0
    await bench.forward(minutes=2)
    assert await _fire(bench, crisis_watch.WATCH) == 1
    await bench.settle()
    (page,) = await bench.phone_of(on_call)
    assert "risk wording" in page["body"]
    reply_id = (await rows(bench))[0].id
    await bench.hear(CrisisFlaggedV1(clinic_id=CLINIC, patient_id=who.id, reply_id=reply_id, alert_id=uuid4(), at=bench.now))
    await bench.forward(hours=1)
    assert await _fire(bench, crisis_watch.WATCH) == 0


async def _fire(bench: Bench, kind: str) -> int:
    """The ticker's turn for one kind of due work, by hand."""
    table = tables_of("notifier").due_work
    async with bench.runtime.unit() as unit:
        due = (await unit.conn.execute(select(table).where(table.c.kind == kind, table.c.due_at <= unit.now))).all()
        await unit.conn.execute(table.delete().where(table.c.kind == kind, table.c.due_at <= unit.now))
        await unit.lock(*(row.key for row in due))
        await FIRES[kind](unit, [WorkItem(row.kind, row.ref, row.key, row.clinic_id, row.due_at, row.data) for row in due])
    return len(due)


# --- pauses and the care team -------------------------------------------------------------------------------------------------


async def test_pause_3_days_pauses_the_texts_and_ends_by_itself(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "pause 3 days")
    known = await standing(bench, who)
    assert (known.texts_paused, known.paused_until) == ("by-patient", bench.now + timedelta(days=3))
    (said,) = await bench.said("texts-paused")
    assert said["contact"]["texts_paused"] == "by-patient"
    await bench.forward(days=3)
    assert await _fire(bench, wishes.PAUSE_OVER) == 1
    assert (await standing(bench, who)).texts_paused == "no"
    assert len(await bench.said("texts-resumed")) == 1


async def _alert(bench: Bench, who: Someone, person: Someone, code: str) -> UUID:
    alert_id = uuid4()
    async with bench.runtime.unit() as unit:
        values = {"alert_id": alert_id, "clinic_id": CLINIC, "patient_id": who.id, "alert_version": 1, "code": code, "step": 0}
        values |= {"kind": "missed-check-in", "severity": "high", "state": "open", "dedup_key": code, "recipient_id": person.id}
        await unit.conn.execute(open_alert.insert().values(**values, raised_at=unit.now))
        draft = {
            "id": uuid4(),
            "key": f"alert/{alert_id}/0",
            "clinic_id": CLINIC,
            "contact_id": person.id,
            "person_id": person.id,
        }
        draft |= {"kind": "alert", "template": "alert", "alert_id": alert_id, "cause_id": uuid4(), "cause_type": "alert-raised"}
        times = dict.fromkeys(("due_at", "not_before", "created_at", "changed_at"), unit.now)
        await unit.conn.execute(message.insert().values(**draft, **times, useful_until=unit.now, state="delivered"))
    return alert_id


@pytest.mark.parametrize(
    ("body", "answer"), [("b4x2", "acknowledge"), (" B4 X2 ", "acknowledge"), ("B4X2 done", "resolve"), ("ok", "acknowledge")]
)
async def test_a_clinician_answers_by_code(bench: Bench, door: Door, body: str, answer: str) -> None:
    who, person = await bench.patient(), await bench.staff()
    alert_id = await _alert(bench, who, person, "B4X2")
    await door.text(person, body)
    (said,) = await replies(bench)
    assert (said["about"], said["alert_id"], said["answer"]) == ("alert", str(alert_id), answer)
    assert (said["person_id"], said["patient_id"]) == (str(person.id), str(who.id))


async def test_ok_with_two_open_alerts_is_asked_about_and_lists_nothing(bench: Bench, door: Door) -> None:
    who, person = await bench.patient(), await bench.staff()
    for code in ("B4X2", "C5Y3"):
        await _alert(bench, who, person, code)
    await door.text(person, "ok")
    assert [each["answer"] for each in await replies(bench)] == ["none"]
    (asked,) = await queued(bench, "clarification")
    assert (asked.template, asked.params, asked.person_id) == ("clarify/code", {}, person.id)


async def test_risk_wording_of_a_clinician_gets_the_crisis_line_too(bench: Bench, door: Door) -> None:
    person = await bench.staff()
    await door.text(person, "I want to die")
    (safe,) = await queued(bench, "safe-reply")
    assert (safe.person_id, safe.patient_id) == (person.id, None)
    assert await queued(bench, "clarification") == []
    await bench.settle()
    assert "988" in (await bench.phone_of(person))[-1]["body"]


# --- what may not be seen -----------------------------------------------------------------------------------------------------


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
