"""What the page and the tools are shown: threads as DESIGN.md 6 fixes them, and the richer state of the page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from steadypath.phone.faults import Fault
from steadypath.phone.ledger import Entry
from steadypath.phone.notifier_api import Contact
from steadypath.phone.state import Message, State

_ORDER = {"patient": 0, "care-team": 1, "unknown": 2}


def threads(state: State, contacts: Mapping[str, Contact]) -> list[dict[str, Any]]:
    """DESIGN.md 6: one thread a number, patients first; direction as the clinic sees it, times clinical with offset."""
    return [
        {
            "number": number,
            "who": _who(number, contacts),
            "messages": [_message(message) for message in state.threads.get(number, ())],
        }
        for number in _numbers(state, contacts)
    ]


def phones(state: State, contacts: Mapping[str, Contact]) -> list[dict[str, Any]]:
    """The page's phones: the thread, with what a bubble shows beside it."""
    return [
        {
            "number": number,
            "who": _who(number, contacts),
            "zone": contacts[number].zone if number in contacts else None,
            "opted_out": any(phone == number for _, phone in state.opted_out),
            "messages": [_bubble(message, state) for message in state.threads.get(number, ())],
        }
        for number in _numbers(state, contacts)
    ]


def default_line(state: State, phone: str) -> str | None:
    """The clinic's number that last texted this phone; None where none did."""
    return next((message.line for message in reversed(state.threads.get(phone, [])) if not message.inbound), None)


def ledger_line(message: Message) -> dict[str, Any]:
    """One text for the tests' oracle; times ISO 8601 with offset, `begun_machine` machine time, the rest clinical."""
    return {
        "n": message.n,
        "sid": message.sid,
        "number": message.phone,
        "line": message.line,
        "direction": message.direction,
        "body": message.body,
        "begun_at": message.begun.isoformat(),
        "begun_machine": message.begun_machine.isoformat(),
        "answer_lost": message.answer_lost,
        "history": [{"status": status, "at": at.isoformat()} for status, at in message.history],
        "webhooks": message.hooks,
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """As PUT /phone/faults takes it; `times` is what is left, null without limit."""
    return {"fault": fault.fault, "times": fault.times, "to": fault.to, "code": fault.code, "delay": _duration(fault)}


def trouble(entry: Entry) -> dict[str, Any]:
    """One line of the page's trouble list: a refused request, or a webhook that nobody answered well."""
    data = entry.data
    if entry.kind == "refused":
        number = data["asked"].get("To")
        text = f"{data['code']}: {data['text']}" if data["code"] else data["text"]
        return {
            "n": entry.n,
            "at": entry.clinical.isoformat(),
            "kind": "refused",
            "number": number,
            "text": text,
            "retry_at": None,
        }
    what = "inbound webhook" if data["kind"] == "inbound" else f"callback “{data['status']}”"
    text = f"{what}: {data['error']}"
    return {
        "n": entry.n,
        "at": _iso(entry.clinical),
        "kind": "webhook",
        "sid": data["sid"],
        "text": text,
        "retry_at": data["retry_at"],
    }


def _numbers(state: State, contacts: Mapping[str, Contact]) -> Iterable[str]:
    def rank(number: str) -> tuple[int, str, str]:
        contact = contacts.get(number)
        return (_ORDER[contact.role], contact.label.lower(), number) if contact else (2, "", number)

    return sorted({*state.threads, *contacts}, key=rank)


def _who(number: str, contacts: Mapping[str, Contact]) -> dict[str, str]:
    contact = contacts.get(number)
    return {"role": contact.role, "label": contact.label} if contact else {"role": "unknown", "label": number}


def _message(message: Message) -> dict[str, Any]:
    direction = "inbound" if message.inbound else "outbound"
    return {"direction": direction, "at": _iso(message.begun), "body": message.body, "status": message.status}


def _bubble(message: Message, state: State) -> dict[str, Any]:
    failed = message.hooks[-1]["error"] if message.hooks else None
    waiting = [step.due for step in state.steps.get(message.sid, ())]
    return {
        **_message(message),
        "sid": message.sid,
        "by": "twilio" if message.direction == "outbound-reply" else "clinic",
        "code": message.code,
        "in_doubt": message.answer_lost and message.settled_by is None,
        "settled_by": message.settled_by,
        "webhook_error": failed,
        "waiting_until": _iso(min(waiting)) if waiting else None,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _duration(fault: Fault) -> str:
    seconds = fault.delay.total_seconds()
    return f"PT{seconds / 60:g}M" if seconds % 60 == 0 else f"PT{seconds:g}S"
