"""Twilio's REST contract, judged by Twilio's own SDK against the running simulator."""

from __future__ import annotations

from datetime import timedelta

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.integration.phone.conftest import ACCOUNT, ANNA, API_KEY, API_SECRET, BEN, LINE, START, Simulator


def test_create_answers_queued_and_fetch_follows(phone: Simulator) -> None:
    made = phone.send(ANNA, "Hi", validity_period=3600)
    assert (made.status, made.to, made.from_, made.body) == ("queued", ANNA, LINE, "Hi")
    assert made.sid.startswith("SM")
    assert len(made.sid) == 34
    assert (made.date_created, made.date_sent, made.error_code, made.num_segments) == (START, None, None, "1")
    assert made.uri == f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{made.sid}.json"
    phone.quiet()
    fetched = phone.twilio().messages(made.sid).fetch()
    assert (fetched.status, fetched.date_sent, fetched.direction) == ("delivered", START, "outbound-api")


def test_a_messaging_service_accepts_first_and_chooses_the_sender(phone: Simulator) -> None:
    service = "MG" + "0" * 32
    made = phone.twilio().messages.create(to=ANNA, messaging_service_sid=service, body="Hi")
    assert (made.status, made.from_, made.messaging_service_sid) == ("accepted", None, service)
    phone.quiet()
    assert phone.twilio().messages(made.sid).fetch().from_ == "+15005550006"


@pytest.mark.parametrize(("user", "secret"), [(ACCOUNT, "wrong"), ("AC" + "f" * 32, "x"), (API_KEY, "wrong")])
def test_bad_credentials_are_20003(phone: Simulator, user: str, secret: str) -> None:
    with pytest.raises(TwilioRestException) as caught:
        phone.twilio(user, secret).messages.create(to=ANNA, from_=LINE, body="Hi")
    assert (caught.value.status, caught.value.code) == (401, 20003)
    assert phone.ledger() == []


def test_an_api_key_will_do(phone: Simulator) -> None:
    assert phone.twilio(API_KEY, API_SECRET).messages.create(to=ANNA, from_=LINE, body="Hi").sid


def test_what_does_not_exist_is_20404(phone: Simulator) -> None:
    with pytest.raises(TwilioRestException) as caught:
        phone.twilio().messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)


def test_a_refused_request_sends_nothing_and_is_on_the_page(phone: Simulator) -> None:
    with pytest.raises(TwilioRestException) as caught:
        phone.send("555", "Hi")
    assert (caught.value.status, caught.value.code) == (400, 21211)
    assert phone.ledger() == []
    assert "21211" in phone.get("/phone/state")["troubles"][0]["text"]


def test_the_list_is_filtered_and_the_newest_comes_first(phone: Simulator) -> None:
    for to, body in [(ANNA, "one"), (BEN, "two"), (ANNA, "three")]:
        phone.send(to, body)
    phone.quiet()
    phone.forward(timedelta(days=1))
    phone.send(ANNA, "four")
    phone.quiet()
    listed = phone.twilio().messages
    assert [message.body for message in listed.list(to=ANNA)] == ["four", "three", "one"]
    assert [message.body for message in listed.list(to=ANNA, date_sent=START.date())] == ["three", "one"]
    assert [message.body for message in listed.list(date_sent_after=START.date() + timedelta(days=1))] == ["four"]
    assert [message.body for message in listed.list(date_sent_before=START.date())] == ["three", "two", "one"]
    assert listed.list(from_=ANNA) == []


def test_pages_hold_every_text_once_though_new_ones_arrive(phone: Simulator) -> None:
    for number in range(7):
        phone.send(ANNA, f"text {number}")
    pages = phone.twilio().messages.page(to=ANNA, page_size=3)
    seen = [message.body for message in pages]
    phone.send(ANNA, "arrived meanwhile")
    while (pages := pages.next_page()) is not None:
        seen += [message.body for message in pages]
    assert seen == [f"text {number}" for number in range(6, -1, -1)]
    assert len(phone.twilio().messages.list(to=ANNA, page_size=2)) == 8
