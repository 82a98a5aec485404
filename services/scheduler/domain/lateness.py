"""What becomes of an occurrence whose moment has come, perhaps long ago: said, or visibly expired. Never a burst.

CommCare moves on to the next event that is not in the past, cal.com sent past reminders (domain.md 8): a dose is said within
its usefulness or not at all, of several late ones of a kind only the newest is, and what a person must hear is never dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.scheduler.domain.occurrence import NEVER_DROPPED, Occurrence, Rules

#: Why an occurrence expired (the reason of due-expired).
TOO_LATE = "too-late"
SUPERSEDED = "newer-one-due"


@dataclass(frozen=True)
class Verdict:
    occurrence: Occurrence
    outcome: Literal["say", "expire"]
    reason: str | None = None


def is_useful(one: Occurrence, now: datetime) -> bool:
    """Whether it may still be said. Follow-ups, labs and reviews always may."""
    return one.kind in NEVER_DROPPED or now < one.useful_until


def judge(due: Sequence[Occurrence], now: datetime, rules: Rules) -> list[Verdict]:
    """Decides on all due occurrences of *one patient*, in order of time. Nothing that is not due may be in `due`."""
    ordered = sorted(due, key=lambda one: one.sort_key)
    return [_verdict(one, ordered, now, rules) for one in ordered]


def _verdict(one: Occurrence, ordered: Sequence[Occurrence], now: datetime, rules: Rules) -> Verdict:
    if not is_useful(one, now):
        return Verdict(one, "expire", TOO_LATE)
    if one.kind in NEVER_DROPPED or now - one.due_at <= rules.catch_up_after:
        return Verdict(one, "say")
    newer = any(other.kind == one.kind and other.due_at > one.due_at and is_useful(other, now) for other in ordered)
    return Verdict(one, "expire", SUPERSEDED) if newer else Verdict(one, "say")
