"""What the simulator knows, as a fold over its ledger: the same code builds it live and after a kill -9.

Nothing here is changed but by `apply`; whoever wants a change appends an entry (see network.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from steadypath.phone.faults import Fault
from steadypath.phone.ledger import Entry

Direction = Literal["outbound-api", "outbound-reply", "inbound"]
StepKind = Literal["status", "callback", "inbound"]


@dataclass(slots=True)
class Message:
    """A text that the network accepted. All times are clinical and UTC but `begun_machine`."""

    n: int
    sid: str
    direction: Direction
    sender: str
    to: str
    body: str
    begun: datetime
    begun_machine: datetime
    status: str
    updated: datetime
    service_sid: str | None = None
    status_callback: str | None = None
    sent: datetime | None = None
    code: int | None = None
    hidden_until: datetime | None = None
    answer_lost: bool = False  # the client never got our 201: for it the send is in doubt
    settled_by: str | None = None  # "callback", "fetch" or "list": how a client without our answer learnt of it
    opt_out_type: str | None = None
    history: list[tuple[str, datetime]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)  # webhook attempts, oldest first

    @property
    def inbound(self) -> bool:
        """From a phone to the clinic."""
        return self.direction == "inbound"

    @property
    def phone(self) -> str:
        """The person's number, whichever way the text went."""
        return self.sender if self.inbound else self.to

    @property
    def line(self) -> str:
        """The clinic's number, whichever way the text went."""
        return self.to if self.inbound else self.sender


@dataclass(slots=True)
class Step:
    """One thing that is still to happen to a message, at `due` (clinical, UTC)."""

    sid: str
    seq: int
    kind: StepKind
    due: datetime
    status: str
    code: int | None
    attempts: int = 0


class State:
    """Messages, what is still to happen, who opted out of which line, and which faults are on."""

    def __init__(self) -> None:
        self.work = 0
        self.messages: dict[str, Message] = {}
        self.threads: dict[str, list[Message]] = {}
        self.steps: dict[str, list[Step]] = {}
        self.opted_out: set[tuple[str, str]] = set()
        self.faults: list[Fault] = []
        self.troubles: list[Entry] = []

    def apply(self, entry: Entry) -> None:
        """One entry. An unknown kind (a newer simulator's file) is a KeyError: better no start than a wrong state."""
        self.work = entry.n
        _APPLY[entry.kind](self, entry)

    def pending(self) -> Iterator[Step]:
        """All that is still to happen, of each message in order."""
        for steps in self.steps.values():
            yield from steps

    def next_step(self, sid: str, now: datetime, *, but: Collection[int] = ()) -> Step | None:
        """The message's first step that is due; one that waits for its time lets the others pass. `but`: places of those that are
        under way."""
        due = (step for step in self.steps.get(sid, ()) if step.due <= now and step.seq not in but)
        return min(due, key=lambda step: (step.due, step.seq), default=None)

    def _accepted(self, entry: Entry) -> None:
        data = entry.data
        message = Message(
            n=entry.n,
            sid=data["sid"],
            direction=data["direction"],
            sender=data["from"],
            to=data["to"],
            body=data["body"],
            begun=_time(data["begun"]),
            begun_machine=_time(data["begun_machine"]),
            status=data["status"],
            updated=entry.clinical,
            service_sid=data.get("service_sid"),
            status_callback=data.get("status_callback"),
            hidden_until=_time(data["hidden_until"]) if data.get("hidden_until") else None,
            answer_lost=bool(data.get("answer_lost")),
            opt_out_type=data.get("opt_out_type"),
            history=[(data["status"], entry.clinical)],
        )
        if message.inbound:
            message.sent = self._inbound_second(message.phone, entry.clinical)
        self.messages[message.sid] = message
        self.threads.setdefault(message.phone, []).append(message)
        steps = [Step(message.sid, s["seq"], s["kind"], _time(s["due"]), s["status"], s["code"]) for s in data["plan"]]
        if steps:
            self.steps[message.sid] = steps

    def _inbound_second(self, phone: str, now: datetime) -> datetime:
        """When a phone's text was sent, as Twilio tells it: in whole seconds. Nobody types two texts in one second, so while
        clinical time stands still each is told a second after the one before (the order of a STOP and a START hangs on it)."""
        earlier = [text.sent for text in self.threads.get(phone, ()) if text.inbound and text.sent is not None]
        return max([now, *(sent + timedelta(seconds=1) for sent in earlier[-1:])])

    def _status(self, entry: Entry) -> None:
        message = self.messages[entry.data["sid"]]
        message.status, message.code = entry.data["status"], entry.data["code"]
        message.updated = entry.clinical
        message.history.append((message.status, entry.clinical))
        if message.sent is None and message.status in {"sent", "delivered", "undelivered"}:
            message.sent = entry.clinical
        self._done(entry)

    def _attempt(self, entry: Entry) -> None:
        data = entry.data
        message = self.messages[data["sid"]]
        message.hooks.append({**data, "at": entry.clinical.isoformat()})
        if data["error"]:
            self._trouble(entry)
        elif data["kind"] == "callback" and message.answer_lost and message.settled_by is None:
            message.settled_by = "callback"
        if data["retry_at"] is None:
            self._done(entry)
            return
        step = next(step for step in self.steps[data["sid"]] if step.seq == data["seq"])
        step.due, step.attempts = _time(data["retry_at"]), step.attempts + 1

    def _done(self, entry: Entry) -> None:
        sid, seq = entry.data["sid"], entry.data["seq"]
        left = [step for step in self.steps.get(sid, ()) if step.seq != seq]
        if left:
            self.steps[sid] = left
        else:
            self.steps.pop(sid, None)

    def _looked(self, entry: Entry) -> None:
        self.messages[entry.data["sid"]].settled_by = entry.data["via"]

    def _opted(self, entry: Entry) -> None:
        pair = (entry.data["line"], entry.data["phone"])
        if entry.data["out"]:
            self.opted_out.add(pair)
        else:
            self.opted_out.discard(pair)

    def _faults(self, entry: Entry) -> None:
        self.faults = [
            Fault(f["fault"], f["times"], f["to"], f["code"], timedelta(seconds=f["delay_seconds"])) for f in entry.data["faults"]
        ]

    def _trouble(self, entry: Entry) -> None:
        self.troubles = [*self.troubles[-49:], entry]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


_APPLY = {
    "accepted": State._accepted,
    "status": State._status,
    "attempt": State._attempt,
    "looked": State._looked,
    "opted": State._opted,
    "faults": State._faults,
    "refused": State._trouble,
}
