"""The faults that can be switched on, and what each does to one message. Pure: the doing is in rest.py and pump.py.

A fault is used up by one message. Of the faults that spoil the answer the first that fits is taken; of those that spoil
what comes after it (callbacks, list), every kind that fits, so that "accepted, answer lost, callback late" is one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

FaultName = Literal[
    "reject", "hang", "drop-after-accept", "500-after-accept", "429",
    "late-callback", "shuffled-callbacks", "doubled-callback", "lost-callback", "list-lag",
]  # fmt: skip
ANSWER_FAULTS: tuple[FaultName, ...] = ("reject", "hang", "drop-after-accept", "500-after-accept", "429")
LATER_FAULTS: tuple[FaultName, ...] = ("late-callback", "shuffled-callbacks", "doubled-callback", "lost-callback", "list-lag")
#: Faults under which Twilio takes nothing: the message does not exist.
NOT_ACCEPTED = frozenset({"reject", "hang", "429"})
DEFAULT_CODE = 21610
DEFAULT_DELAY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Fault:
    """`times` is how often it may still be used, None without limit; `to` None means any number."""

    fault: FaultName
    times: int | None = 1
    to: str | None = None
    code: int = DEFAULT_CODE
    delay: timedelta = DEFAULT_DELAY

    def fits(self, to: str) -> bool:
        """Whether it is still on and meant for this number."""
        return (self.times is None or self.times > 0) and self.to in {None, to}

    @property
    def late_failure(self) -> bool:
        """Codes 30000 and up come with a callback after acceptance (Twilio's asynchronous errors), never with the answer."""
        return self.fault == "reject" and self.code >= 30000

    @property
    def accepts(self) -> bool:
        """Whether Twilio takes the message in spite of it."""
        return self.fault not in NOT_ACCEPTED or self.late_failure


def choose(faults: Sequence[Fault], to: str) -> tuple[int, ...]:
    """Which faults a request to this number meets, as places in the list."""
    answer = next((place for place, fault in enumerate(faults) if fault.fault in ANSWER_FAULTS and fault.fits(to)), None)
    if answer is not None and not faults[answer].accepts:
        return (answer,)
    kinds: dict[FaultName, int] = {}
    for place, fault in enumerate(faults):
        if fault.fault in LATER_FAULTS and fault.fits(to):
            kinds.setdefault(fault.fault, place)
    return tuple(kinds.values()) if answer is None else (answer, *kinds.values())


def used(faults: Sequence[Fault], places: Sequence[int]) -> list[Fault]:
    """The list after one message has met the faults at `places`."""
    return [
        replace(fault, times=fault.times - 1) if place in places and fault.times is not None else fault
        for place, fault in enumerate(faults)
    ]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One thing that will happen to an accepted message: its status moves, or a callback says so."""

    kind: Literal["status", "callback"]
    due: datetime
    status: str
    code: int | None

    def as_json(self, seq: int) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {"seq": seq, "kind": self.kind, "due": self.due.isoformat(), "status": self.status, "code": self.code}


def journey(met: Sequence[Fault]) -> list[tuple[str, int | None]]:
    """The statuses after `queued`. 30001, 30002 and 30036 fail before anything is sent; other late codes are undelivered."""
    late = next((fault for fault in met if fault.late_failure), None)
    if late is None:
        return [("sent", None), ("delivered", None)]
    if late.code in {30001, 30002, 30036}:
        return [("failed", late.code)]
    return [("sent", None), ("undelivered", late.code)]


def plan(now: datetime, met: Sequence[Fault], *, calls_back: bool) -> list[PlannedStep]:
    """What will happen to a message accepted at `now` (clinical, UTC), in the order in which it is done when all is due."""
    names = {fault.fault for fault in met}
    delay = next((fault.delay for fault in met if fault.fault == "late-callback"), timedelta())
    moves = [PlannedStep("status", now, status, code) for status, code in journey(met)]
    if not calls_back or "lost-callback" in names:
        return moves
    calls = [replace(move, kind="callback", due=now + delay) for move in moves]
    copies = 2 if "doubled-callback" in names else 1
    if "shuffled-callbacks" in names:
        return moves + [call for call in reversed(calls) for _ in range(copies)]
    return [step for move, call in zip(moves, calls, strict=True) for step in (move, *([call] * copies))]


def hidden_until(now: datetime, met: Sequence[Fault]) -> datetime | None:
    """Until when (clinical, UTC) the list does not show the message."""
    return next((now + fault.delay for fault in met if fault.fault == "list-lag"), None)
