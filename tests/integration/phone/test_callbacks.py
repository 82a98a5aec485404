"""Status callbacks: signed, in order, late when told, retried as little as Twilio does, never lost by a restart."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from twilio.base.exceptions import TwilioRestException

from tests.integration.phone.conftest import ANNA, BEN, LINE, START, Clinic, Simulator


def test_sent_then_delivered_signed_and_no_callback_for_queued(phone: Simulator, clinic: Clinic) -> None:
    sid = phone.send(ANNA).sid
    phone.quiet()
    assert clinic.callbacks(sid) == ["sent", "delivered"]
    assert all(hook.signed for hook in clinic.hooks)
    form = clinic.hooks[0].form
    assert (form["SmsSid"], form["SmsStatus"], form["To"], form["From"]) == (sid, "sent", ANNA, LINE)
    assert form["ApiVersion"] == "2010-04-01"
    assert "ErrorCode" not in form


def test_no_callback_waits_for_the_answer_to_the_one_before(phone: Simulator, clinic: Clinic) -> None:
    """As with Twilio: a text is delivered whether or not the clinic has heard that it was sent."""
    clinic.stop()
    clinic.side_by_side, clinic.together = True, threading.Barrier(2)
    clinic.start()
    sid = phone.send(ANNA).sid
    phone.quiet()
    assert sorted(clinic.callbacks(sid)) == ["delivered", "sent"]
    assert not clinic.together.broken, "each was answered only once the other was there"


def test_a_late_callback_comes_when_time_has_reached_it(phone: Simulator, clinic: Clinic) -> None:
    phone.faults({"fault": "late-callback", "delay": "PT5M"})
    sid = phone.send(ANNA).sid
    assert phone.quiet()["next_due"] == (START + timedelta(minutes=5)).isoformat()
    phone.forward(timedelta(minutes=4, seconds=59))
    assert clinic.callbacks(sid) == []
    assert phone.twilio().messages(sid).fetch().status == "delivered"
    phone.forward(timedelta(seconds=1))
    assert clinic.callbacks(sid) == ["sent", "delivered"]
    assert phone.get("/phone/faults") == {"faults": []}


@pytest.mark.parametrize(
    ("fault", "came"),
    [
        ("shuffled-callbacks", ["delivered", "sent"]),
        ("doubled-callback", ["sent", "sent", "delivered", "delivered"]),
        ("lost-callback", []),
    ],
)
def test_callback_faults_spoil_one_text_and_no_other(phone: Simulator, clinic: Clinic, fault: str, came: list[str]) -> None:
    phone.faults({"fault": fault, "to": BEN})
    first, second, third = phone.send(ANNA).sid, phone.send(BEN).sid, phone.send(BEN).sid
    phone.quiet()
    assert clinic.callbacks(first) == clinic.callbacks(third) == ["sent", "delivered"]
    assert clinic.callbacks(second) == came
    assert phone.twilio().messages(second).fetch().status == "delivered"


def test_a_late_error_code_comes_as_undelivered(phone: Simulator, clinic: Clinic) -> None:
    phone.faults({"fault": "reject", "code": 30003})
    sid = phone.send(ANNA).sid
    phone.quiet()
    assert clinic.callbacks(sid) == ["sent", "undelivered"]
    assert clinic.hooks[-1].form["ErrorCode"] == "30003"
    assert phone.twilio().messages(sid).fetch().error_code == 30003


def test_a_clinic_that_is_down_is_tried_once_more_after_fifteen_clinical_seconds(phone: Simulator, clinic: Clinic) -> None:
    clinic.stop()
    sid = phone.send(ANNA).sid
    assert phone.quiet()["next_due"] == (START + timedelta(seconds=15)).isoformat()
    assert "11205" in phone.get("/phone/state")["troubles"][0]["text"]
    clinic.start()
    phone.quiet()
    assert clinic.callbacks(sid) == []
    phone.forward(timedelta(seconds=15))
    assert clinic.callbacks(sid) == ["sent", "delivered"]


def test_a_clinic_that_stays_broken_is_given_up(phone: Simulator, clinic: Clinic) -> None:
    clinic.statuses = [500, 503, 500, 503]
    sid = phone.send(ANNA).sid
    phone.quiet()
    phone.forward(timedelta(seconds=15))
    assert clinic.callbacks(sid) == ["sent", "delivered"] * 2
    assert len({hook.token for hook in clinic.hooks}) == 2
    assert phone.quiet()["next_due"] is None


def test_a_killed_simulator_goes_on_where_it_was(phone: Simulator, clinic: Clinic) -> None:
    phone.faults({"fault": "late-callback", "delay": "PT1H"}, {"fault": "hang", "to": BEN, "times": 3})
    sid = phone.send(ANNA).sid
    phone.reply(ANNA, "STOP")
    before = (phone.quiet(), phone.get("/phone/threads"), phone.get("/phone/faults"), phone.ledger())
    phone.kill()
    phone.start()
    assert (phone.quiet(), phone.get("/phone/threads"), phone.get("/phone/faults"), phone.ledger()) == before
    with pytest.raises(TwilioRestException) as caught:
        phone.send(ANNA)
    assert caught.value.code == 21610
    phone.forward(timedelta(hours=1))
    assert clinic.callbacks(sid) == ["sent", "delivered"]
