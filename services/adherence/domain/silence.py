"""What is on record about one occurrence, and what its silence means. Silence is never a missed dose (DESIGN.md rule 3).

Facts about an occurrence arrive in any order and more than once: a reply before the question's event, "delivered" before
"sent". So nothing here folds events one by one; everything is decided from the *set* of facts, which has no order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

FactKind = Literal[
    "sent",
    "delivered",
    "undelivered",
    "unconfirmed",
    "unconfirmed-final",
    "withheld",
    "answer",
    "correction",
    "withdrawn",
    "expired",
]
Why = Literal["not-asked", "not-delivered", "delivered-but-silent", "record-incomplete"]
#: Each of these says that a request to the provider was begun: a withdrawal comes too late for it.
BEGUN = frozenset({"sent", "delivered", "undelivered", "unconfirmed", "unconfirmed-final"})
#: Withheld for a reason of the channel, not of the patient or the plan: it was to be asked and could not arrive.
CHANNEL_REASONS = frozenset({"channel-down", "rejected-by-provider"})


@dataclass(frozen=True)
class Fact:
    """One thing that came in about an occurrence. `id` is its event's: the same fact twice is one."""

    id: UUID
    kind: FactKind
    at: datetime
    #: The answer, the corrected outcome, or why it was withheld.
    value: str | None = None
    reason: str | None = None
    score: int | None = None
    #: The question of a running conversation that it answers; None for the occurrence's first question.
    item: str | None = None
    #: Plan version of a withdrawal.
    version: int = 0


@dataclass(frozen=True)
class Window:
    """The time in which an answer counts without being late. `due_version` 0: never said due (it expired).

    `incomplete`: the patient's key was parked when it closed. `channel_down`: a channel incident overlapped it.
    """

    due_at: datetime
    answer_until: datetime
    due_version: int = 1
    closed: bool = False
    incomplete: bool = False
    channel_down: bool = False


def kinds_of(facts: Iterable[Fact]) -> frozenset[str]:
    return frozenset(fact.kind for fact in facts)


def is_withdrawn(window: Window, facts: Iterable[Fact]) -> bool:
    """Withdrawn at or after the version that said it due, before any text had begun and before anybody answered."""
    known = list(facts)
    withdrawn = max((fact.version for fact in known if fact.kind == "withdrawn"), default=-1)
    return withdrawn >= window.due_version and not (kinds_of(known) & (BEGUN | {"answer", "correction"}))


def why_silent(window: Window, facts: Iterable[Fact]) -> Why:
    """Why nothing is known of an occurrence whose window has closed without an answer.

    Proof beats doubt: a delivery outlives a contradicting report, a channel incident outlives "sent" (accepted is not arrived).
    """
    known = list(facts)
    kinds = kinds_of(known)
    if window.incomplete:
        return "record-incomplete"
    if "delivered" in kinds:
        return "delivered-but-silent"
    if "undelivered" in kinds or ("sent" in kinds and window.channel_down):
        return "not-delivered"
    if "sent" in kinds:
        return "delivered-but-silent"
    return _why_never_sent(window, known, kinds)


def _why_never_sent(window: Window, known: list[Fact], kinds: frozenset[str]) -> Why:
    if kinds & {"unconfirmed", "unconfirmed-final"}:
        return "not-delivered"
    withheld = {fact.value for fact in known if fact.kind == "withheld"}
    if withheld & CHANNEL_REASONS or (window.channel_down and not withheld):
        return "not-delivered"
    if withheld or "expired" in kinds or window.due_version == 0:
        return "not-asked"
    # Said due, and the notifier has not said a word about it: nobody may claim that it was asked, or that it was not.
    return "record-incomplete"


def latest(facts: Iterable[Fact]) -> Fact | None:
    """The last one said, by its own clinical time; ties by id, so that the order of arrival never matters."""
    return max(facts, key=lambda fact: (fact.at, fact.id), default=None)
