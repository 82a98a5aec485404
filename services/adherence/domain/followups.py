"""Follow-ups: kept or missed where somebody said so, `unrecorded` where nobody had by the deadline; never missed by silence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Source = Literal["person", "appointment", "patient"]
FollowUpState = Literal["pending", "kept", "missed", "unrecorded", "withdrawn"]
#: Whose word outranks whose: a member of the care team, then the appointment's own record, then the patient's text.
RANK: dict[str, int] = {"patient": 1, "appointment": 2, "person": 3}


@dataclass(frozen=True)
class Word:
    """Somebody's word on a follow-up."""

    id: UUID
    source: Source
    outcome: Literal["kept", "missed"]
    at: datetime


@dataclass(frozen=True)
class FollowUpOutcome:
    state: FollowUpState
    source: Source | None = None
    at: datetime | None = None


def decide(words: Iterable[Word], *, deadline_passed: bool, expected: bool) -> FollowUpOutcome:
    """What the record says now. `expected` is False once the plan no longer asks for it: then only words count."""
    word = max(words, key=lambda one: (RANK[one.source], one.at, one.id), default=None)
    if word is not None:
        return FollowUpOutcome(word.outcome, word.source, word.at)
    if not expected:
        return FollowUpOutcome("withdrawn")
    return FollowUpOutcome("unrecorded" if deadline_passed else "pending")
