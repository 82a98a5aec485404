"""Texts from a phone: the signed webhook, TwiML, and the keywords that Twilio answers itself."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException

from tests.integration.phone.conftest import ANNA, BEN, LINE, START, Clinic, Simulator


def test_a_reply_is_a_signed_webhook_to_the_line_that_last_texted(phone: Simulator, clinic: Clinic) -> None:
    phone.send(ANNA)
    answer = phone.reply(ANNA, "1 – thanks & 100 % ✓")
    assert answer == {"sid": answer["sid"], "opt_out_type": None, "webhook": {"http": 200, "error": None, "retry_at": None}}
    (form,) = clinic.inbounds()
    assert all(hook.signed for hook in clinic.hooks)
    assert (form["From"], form["To"], form["Body"]) == (ANNA, LINE, "1 – thanks & 100 % ✓")
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"] == answer["sid"]
    assert (form["NumMedia"], form["NumSegments"], form["ApiVersion"]) == ("0", "1", "2010-04-01")
    assert "OptOutType" not in form
    assert [(text["direction"], text["status"]) for text in phone.thread(ANNA)] == [
        ("outbound", "delivered"),
        ("inbound", "received"),
    ]
    assert phone.thread(ANNA)[-1]["at"] == START.isoformat()
    assert phone.twilio().messages(answer["sid"]).fetch().direction == "inbound"


def test_a_number_that_nobody_texted_must_say_whom_it_texts(phone: Simulator, clinic: Clinic) -> None:
    answer = httpx.post(phone.url + "/phone/replies", json={"from": ANNA, "body": "hello"})
    assert answer.status_code == 422
    phone.reply(ANNA, "hello", LINE)
    assert clinic.inbounds()[0]["To"] == LINE


def test_a_phone_that_nobody_texted_texts_the_clinic_where_it_says_its_number(phone: Simulator, clinic: Clinic) -> None:
    clinic.sender = LINE
    phone.reply(ANNA, "hello")
    assert clinic.inbounds()[0]["To"] == LINE


def test_a_twiml_answer_is_delivered(phone: Simulator, clinic: Clinic) -> None:
    clinic.twiml = "<Response><Message>Thank you.</Message></Response>"
    phone.reply(ANNA, "1", LINE)
    assert [(text["body"], text["status"]) for text in phone.thread(ANNA)] == [("1", "received"), ("Thank you.", "delivered")]


def test_stop_is_answered_once_and_ends_texts_until_start(phone: Simulator, clinic: Clinic) -> None:
    phone.send(ANNA)
    for word in ("STOP", "stop"):
        phone.reply(ANNA, word)
    assert [form["OptOutType"] for form in clinic.inbounds()] == ["STOP", "STOP"]
    confirmations = [text for text in phone.thread(ANNA) if "unsubscribed" in text["body"]]
    assert len(confirmations) == 1
    with pytest.raises(TwilioRestException) as caught:
        phone.send(ANNA)
    assert (caught.value.status, caught.value.code) == (400, 21610)
    assert phone.send(BEN).sid
    clinic.twiml = "<Response><Message>Not for you.</Message></Response>"
    phone.reply(ANNA, "hm")
    assert "Not for you." not in [text["body"] for text in phone.thread(ANNA)]
    phone.reply(ANNA, "Unstop")
    assert "re-subscribed" in phone.thread(ANNA)[-2]["body"]
    assert phone.send(ANNA).sid


def test_a_reply_tells_of_a_clinic_that_is_down_and_tries_once_more(phone: Simulator, clinic: Clinic) -> None:
    clinic.stop()
    answer = phone.reply(ANNA, "1", LINE)
    assert answer["webhook"]["http"] is None
    assert "11205" in answer["webhook"]["error"]
    assert answer["webhook"]["retry_at"] == (START + timedelta(seconds=15)).isoformat()
    clinic.start()
    phone.forward(timedelta(seconds=15))
    assert [form["Body"] for form in clinic.inbounds()] == ["1"]


def test_threads_say_whose_phone_it_is_patients_first(phone: Simulator, clinic: Clinic) -> None:
    phone.send(ANNA)
    assert phone.get("/phone/threads")[0]["who"] == {"role": "unknown", "label": ANNA}
    clinic.contacts = [
        {"number": BEN, "role": "care-team", "label": "Dr. Bell", "zone": "America/New_York"},
        {"number": ANNA, "role": "patient", "label": "Zoe", "zone": "America/Denver"},
    ]
    threads = phone.get("/phone/threads")
    assert [thread["who"] for thread in threads] == [
        {"role": "patient", "label": "Zoe"},
        {"role": "care-team", "label": "Dr. Bell"},
    ]
    assert set(threads[0]) == {"number", "who", "messages"}
    assert set(threads[0]["messages"][0]) == {"direction", "at", "body", "status"}


def test_the_cause_of_a_text_is_the_notifiers_word(phone: Simulator, clinic: Clinic) -> None:
    sid = phone.send(ANNA).sid
    assert httpx.get(f"{phone.url}/phone/cause/{sid}").status_code == 404
    clinic.causes[sid] = {"kind": "dose-due", "cause": "an-event", "status": "delivered", "why": None}
    assert phone.get(f"/phone/cause/{sid}") == clinic.causes[sid]
    clinic.stop()
    assert httpx.get(f"{phone.url}/phone/cause/{sid}").status_code == 503


def test_the_ledger_tells_tests_when_each_text_began(phone: Simulator) -> None:
    phone.send(ANNA, "one")
    first = phone.ledger()[0]
    phone.forward(timedelta(minutes=1))
    phone.send(BEN, "two")
    phone.quiet()
    (second,) = phone.ledger(after=first["n"])
    assert (second["number"], second["body"], second["begun_at"]) == (BEN, "two", (START + timedelta(minutes=1)).isoformat())
    assert [step["status"] for step in second["history"]] == ["queued", "sent", "delivered"]


def test_the_page_and_its_parts_are_served(phone: Simulator) -> None:
    page = httpx.get(phone.url + "/phone")
    assert page.headers["content-type"].startswith("text/html")
    parts = [word.split('"')[0] for word in page.text.split('"/phone/static/')[1:]]
    assert parts
    for part in parts:
        assert httpx.get(f"{phone.url}/phone/static/{part}").status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    assert httpx.get(phone.url + "/phone/static/../settings.py").status_code == 404
    state = phone.get("/phone/state")
    assert httpx.get(phone.url + "/phone/state", params={"after": state["version"]}).status_code == 204
