"""Faults of the answer: what the client sees, and whether the text exists all the same."""

from __future__ import annotations

import threading
from datetime import timedelta

import httpx
import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from tests.integration.phone.conftest import ACCOUNT, ANNA, BEN, LINE, TOKEN, Clinic, Simulator, until


def test_reject_answers_the_code_and_takes_nothing(phone: Simulator) -> None:
    phone.faults({"fault": "reject", "code": 21614, "times": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            phone.send(ANNA)
        assert (caught.value.status, caught.value.code) == (400, 21614)
    assert phone.ledger() == []
    assert phone.send(ANNA).sid


def test_429_takes_nothing_and_says_when_to_come_back(phone: Simulator) -> None:
    phone.faults({"fault": "429"})
    url = f"{phone.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    answer = httpx.post(url, data={"To": ANNA, "From": LINE, "Body": "Hi"}, auth=(ACCOUNT, TOKEN))
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, 20429, "1")
    assert phone.ledger() == []


def test_500_after_accept_leaves_a_text_in_doubt_that_its_callback_settles(phone: Simulator, clinic: Clinic) -> None:
    phone.faults({"fault": "500-after-accept"}, {"fault": "late-callback", "delay": "PT2M"})
    with pytest.raises(TwilioRestException) as caught:
        phone.send(ANNA)
    assert (caught.value.status, caught.value.code) == (500, 20500)
    phone.quiet()
    assert bubble(phone, ANNA)["in_doubt"]
    phone.forward(timedelta(minutes=2))
    assert (bubble(phone, ANNA)["in_doubt"], bubble(phone, ANNA)["settled_by"]) == (False, "callback")
    assert clinic.callbacks(phone.ledger()[0]["sid"]) == ["sent", "delivered"]


def test_drop_after_accept_closes_the_socket_and_the_text_exists(phone: Simulator) -> None:
    phone.faults({"fault": "drop-after-accept"}, {"fault": "lost-callback"})
    with pytest.raises(requests.exceptions.ConnectionError):
        phone.send(ANNA)
    phone.quiet()
    assert [text["status"] for text in phone.thread(ANNA)] == ["delivered"]
    assert bubble(phone, ANNA)["in_doubt"]
    assert [message.to for message in phone.twilio().messages.list(to=ANNA)] == [ANNA]
    assert bubble(phone, ANNA)["settled_by"] == "list"


def test_hang_holds_the_connection_and_takes_nothing(phone: Simulator) -> None:
    phone.faults({"fault": "hang"})
    url = f"{phone.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    form = {"To": ANNA, "From": LINE, "Body": "Hi"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, data=form, auth=(ACCOUNT, TOKEN), timeout=0.3)
    assert phone.ledger() == []
    assert phone.send(ANNA).sid
    until(lambda: "hang" in phone.get("/phone/state")["troubles"][0]["text"], "the hang is on the page")


def test_it_stops_in_good_order_though_a_connection_hangs(phone: Simulator) -> None:
    phone.faults({"fault": "hang"})
    url = f"{phone.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    form = {"To": ANNA, "From": LINE, "Body": "Hi"}
    ends: list[str] = []

    def wait_in_vain() -> None:
        try:
            ends.append(str(httpx.post(url, data=form, auth=(ACCOUNT, TOKEN), timeout=30).status_code))
        except httpx.TransportError as error:
            ends.append(type(error).__name__)

    waiting = threading.Thread(target=wait_in_vain)
    waiting.start()
    until(lambda: bool(phone.get("/phone/state")["troubles"]), "the request hangs")
    assert phone.process is not None
    phone.process.terminate()
    assert phone.process.wait(timeout=8) == 0
    waiting.join(timeout=8)
    assert ends


def test_list_lag_hides_from_the_list_and_not_from_fetch(phone: Simulator) -> None:
    phone.faults({"fault": "list-lag", "delay": "PT10M"})
    sid = phone.send(ANNA).sid
    messages = phone.twilio().messages
    assert messages(sid).fetch().sid == sid
    assert messages.list(to=ANNA) == []
    phone.forward(timedelta(minutes=10))
    assert [message.sid for message in messages.list(to=ANNA)] == [sid]


def test_faults_are_for_the_number_named_and_the_list_says_what_is_left(phone: Simulator) -> None:
    put = phone.faults({"fault": "reject", "to": BEN, "code": 21211, "times": 3}, {"fault": "hang", "times": None, "to": LINE})
    assert put[0] == {"fault": "reject", "times": 3, "to": BEN, "code": 21211, "delay": "PT5M"}
    assert phone.send(ANNA).sid
    with pytest.raises(TwilioRestException):
        phone.send(BEN)
    assert [fault["times"] for fault in phone.get("/phone/faults")["faults"]] == [2, None]
    assert phone.faults() == []
    assert phone.send(BEN).sid


@pytest.mark.parametrize(
    "fault", [{"fault": "flood"}, {"fault": "hang", "times": 0}, {"fault": "hang", "to": "555"}, {"times": 1}]
)
def test_a_fault_that_nobody_knows_is_refused_by_name(phone: Simulator, fault: dict[str, object]) -> None:
    answer = httpx.put(phone.url + "/phone/faults", json={"faults": [fault]})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["element"].startswith("faults[0].")


def bubble(phone: Simulator, number: str) -> dict[str, object]:
    phones = {each["number"]: each["messages"] for each in phone.get("/phone/state")["phones"]}
    found: dict[str, object] = phones[number][-1]
    return found
