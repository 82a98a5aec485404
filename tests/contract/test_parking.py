"""Rule 10's list of what never waits behind a parked event, written out by hand: opt-out and opt-in, risk-heard, crisis-flagged,
alert-* (with what becomes of its pages and who answers them), texts-*, plan-stopped, plan-paused, and the text that a running
conversation asks for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from shared.events.base import Event
from shared.events.messages import MessageWithheldV1, ReplyReceivedV1
from shared.events.registry import EVENTS

PASS = {
    "patient-opted-out",
    "patient-opted-in",
    "risk-heard",
    "crisis-flagged",
    "alert-raised",
    "alert-acknowledged",
    "alert-escalated",
    "alert-resolved",
    "texts-paused",
    "texts-resumed",
    "plan-stopped",
    "plan-paused",
    # It is keyed by a clinic, and no patient's record.
    "channel-incident",
}


def test_who_passes_whatever_it_holds() -> None:
    assert {model.type for model in EVENTS.values() if model.bypasses_parking} == PASS


def depends(model: type[Event]) -> bool:
    return model.passes_parking is not Event.passes_parking


def test_where_it_depends_on_a_field() -> None:
    assert {model.type for model in EVENTS.values() if depends(model)} == {
        "message-requested",
        "message-sent",
        "message-delivered",
        "message-undelivered",
        "message-unconfirmed",
        "message-withheld",
        "reply-received",
    }


@pytest.mark.parametrize(("kind", "passes"), [("alert", True), ("safe-reply", True), ("dose", False), ("check-in", False)])
def test_what_becomes_of_a_page_and_of_a_safe_reply_passes(kind: Any, passes: bool) -> None:
    ids = {"clinic_id": uuid4(), "patient_id": uuid4(), "message_id": uuid4()}
    event = MessageWithheldV1(**ids, kind=kind, at="2026-11-23T13:00:00Z", why="no-contact")
    assert event.passes_parking is passes


@pytest.mark.parametrize(("about", "passes"), [("alert", True), ("dose", False), ("nothing", False)])
def test_a_clinicians_answer_passes(about: Any, passes: bool) -> None:
    ids = {"clinic_id": uuid4(), "patient_id": uuid4(), "reply_id": uuid4()}
    event = ReplyReceivedV1(**ids, at="2026-11-23T13:00:00Z", about=about, answer="acknowledge")
    assert event.passes_parking is passes
