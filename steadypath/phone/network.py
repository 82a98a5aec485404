"""The carrier network: every change of state goes through here, ledger first, memory after. No I/O but the ledger's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from shared.clock import Clock, machine_now
from steadypath.phone.faults import ANSWER_FAULTS, Fault, choose, hidden_until, plan, used
from steadypath.phone.keywords import Handling, handle
from steadypath.phone.ledger import Ledger
from steadypath.phone.state import Direction, Message, State, Step
from steadypath.phone.wire import Create, Refusal


@dataclass(frozen=True, slots=True)
class Begin:
    """When a request arrived: clinical and machine time, both UTC."""

    clinical: datetime
    machine: datetime


@dataclass(slots=True)
class Network:
    """One account's messages. `service_number` is the one sender of every messaging service."""

    ledger: Ledger
    clock: Clock
    service_number: str
    state: State = field(default_factory=State)
    on_change: Callable[[], None] = field(default=lambda: None)

    def load(self) -> None:
        """Rebuilds the state from the file; called once at start."""
        for entry in self.ledger.entries():
            self.state.apply(entry)

    def begin(self) -> Begin:
        """The present on both clocks."""
        return Begin(self.clock.now(), machine_now())

    def _write(self, kind: str, data: dict[str, Any]) -> None:
        self.state.apply(self.ledger.append(kind, self.clock.now(), machine_now(), data))
        self.on_change()

    def sender_of(self, request: Create) -> str:
        """The line a text leaves from: the one asked for, else the messaging service's."""
        return request.sender or self.service_number

    def is_opted_out(self, line: str, phone: str) -> bool:
        """Whether Twilio would answer 21610."""
        return (line, phone) in self.state.opted_out

    def meet_faults(self, to: str) -> list[Fault]:
        """The faults that this message meets; each is used up once by it."""
        places = choose(self.state.faults, to)
        met = [self.state.faults[place] for place in places]
        if places:
            self.set_faults(used(self.state.faults, places))
        return met

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Replaces the list; spent ones are left out."""
        listed = [
            {"fault": f.fault, "times": f.times, "to": f.to, "code": f.code, "delay_seconds": f.delay.total_seconds()}
            for f in faults
            if f.times is None or f.times > 0
        ]
        self._write("faults", {"faults": listed})

    def accept(self, request: Create, begun: Begin, met: Sequence[Fault]) -> Message:
        """Takes a text: from here on it exists, whatever becomes of the answer."""
        now = self.clock.now()
        steps = plan(now, met, calls_back=request.status_callback is not None)
        hidden = hidden_until(now, met)
        lost = any(fault.fault in ANSWER_FAULTS and not fault.late_failure for fault in met)
        return self._text(
            "outbound-api",
            self.sender_of(request),
            request.to,
            request.body,
            begun,
            status="accepted" if request.service_sid else "queued",
            plan=[step.as_json(seq) for seq, step in enumerate(steps)],
            service_sid=request.service_sid,
            status_callback=request.status_callback,
            validity_seconds=request.validity_seconds,
            hidden_until=hidden.isoformat() if hidden else None,
            answer_lost=lost,
        )

    def receive(self, sender: str, to: str, body: str) -> Message:
        """A text from a phone: keywords are handled and answered first, as Twilio does; the webhook is a step to come."""
        begun = self.begin()
        handling = handle(body, opted_out=self.is_opted_out(to, sender))
        step = {"seq": 0, "kind": "inbound", "due": begun.clinical.isoformat(), "status": "received", "code": None}
        message = self._text("inbound", sender, to, body, begun, status="received", plan=[step], opt_out_type=handling.kind)
        self._opt(to, sender, handling)
        return message

    def _opt(self, line: str, phone: str, handling: Handling) -> None:
        if handling.opted_out != self.is_opted_out(line, phone):
            self._write("opted", {"line": line, "phone": phone, "out": handling.opted_out})
        if handling.answer:
            self.reply(line, phone, handling.answer)

    def reply(self, line: str, phone: str, body: str) -> Message:
        """A text that Twilio itself sends (keyword answer, TwiML): delivered, and no callback."""
        message = self._text("outbound-reply", line, phone, body, self.begin(), status="queued", plan=[])
        for status in ("sent", "delivered"):
            self.move(Step(message.sid, -1, "status", message.begun, status, None))
        return message

    def _text(
        self,
        direction: Direction,
        sender: str,
        to: str,
        body: str,
        begun: Begin,
        *,
        status: str,
        plan: list[dict[str, Any]],
        **more: Any,
    ) -> Message:
        sid = f"SM{uuid4().hex}"
        self._write(
            "accepted",
            {
                "sid": sid,
                "direction": direction,
                "from": sender,
                "to": to,
                "body": body,
                "begun": begun.clinical.isoformat(),
                "begun_machine": begun.machine.isoformat(),
                "status": status,
                "plan": plan,
                **more,
            },
        )
        return self.state.messages[sid]

    def move(self, step: Step) -> None:
        """The message's status moves on."""
        self._write("status", {"sid": step.sid, "seq": step.seq, "status": step.status, "code": step.code})

    def attempted(self, step: Step, *, http: int | None, error: str | None, retry_at: datetime | None) -> None:
        """A webhook was tried. `retry_at` (clinical) None ends it, whether it was answered or given up."""
        self._write(
            "attempt",
            {
                "sid": step.sid,
                "seq": step.seq,
                "kind": step.kind,
                "status": step.status,
                "attempt": step.attempts + 1,
                "http": http,
                "error": error,
                "retry_at": retry_at.isoformat() if retry_at else None,
            },
        )

    def refused(self, begun: Begin, why: Refusal | str, form: Sequence[tuple[str, str]]) -> None:
        """A request that was not taken, with what it asked for."""
        code, text = (why.code, why.text) if isinstance(why, Refusal) else (None, why)
        asked = {name: value for name, value in form if name in {"To", "From", "Body"}}
        self._write("refused", {"begun": begun.clinical.isoformat(), "code": code, "text": text, "asked": asked})

    def looked_at(self, message: Message, via: str) -> None:
        """The client saw a text in a fetch or a list: one whose answer was lost is no longer in doubt."""
        if message.answer_lost and message.settled_by is None:
            self._write("looked", {"sid": message.sid, "via": via})
