"""Whether a contact is opted out, from all that was ever said about it, in whatever order it reached us.

Twilio's webhooks carry no time and keep no order (reliability.md R25, R26), so each STOP and START is kept as a signal and given
Twilio's own time as soon as it is known. The state is a function of the *set* of signals: no order of arrival and no replay can
change it. Doubt stays opted out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

How = Literal["keyword", "own-words", "provider", "staff"]


@dataclass(frozen=True)
class Signal:
    """One wish to end (`out`) or begin again (`in`). `at` is the provider's time (it has whole seconds), ours for staff, None
    while not known. `seq` is the order in which we recorded it."""

    id: UUID
    way: Literal["out", "in"]
    how: How
    at: datetime | None
    seq: int


def opt_out_in_force(signals: Iterable[Signal]) -> Signal | None:
    """The latest opt-out that no opt-in has answered, or None where texts may go. A tie stays opted out."""
    every = list(signals)
    ins = [signal for signal in every if signal.way == "in"]
    outs = [out for out in every if out.way == "out" and not any(_answers(back, out) for back in ins)]
    return max(outs, key=lambda out: (_second(out) or datetime.max.replace(tzinfo=UTC), out.seq), default=None)


def _answers(back: Signal, out: Signal) -> bool:
    """Whether an opt-in lifts an opt-out: where that is certainly older. Staff see the record, so theirs also lifts what had been
    recorded before in the same second, or with no time yet; a refusal by the provider (21610) has no better order than ours."""
    in_at, out_at = _second(back), _second(out)
    recorded_first = out.seq < back.seq
    if in_at is None:
        return False
    if out_at is None:
        return recorded_first and back.how == "staff"
    return out_at < in_at or (out_at == in_at and recorded_first and (back.how == "staff" or out.how in ("provider", "staff")))


def _second(signal: Signal) -> datetime | None:
    return signal.at.replace(microsecond=0) if signal.at else None
