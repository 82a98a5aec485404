"""The alert: open -> acknowledged -> resolved. While open it goes from person to person; acknowledged stops all pages for good.

The chain is a snapshot taken when it was raised: editing the care team does not change a running alert (after Grafana OnCall's
escalation snapshot, domain.md 1.8). `step` only ever rises, so that a page can be told from every earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.adherence.domain.policy import AlertPolicy, Severity

State = Literal["open", "acknowledged", "resolved"]
Why = Literal["deadline", "withheld", "reminder"]


@dataclass(frozen=True)
class Turn:
    """A person of a chain, and how long they have before it is the next one's turn."""

    person: UUID
    wait: timedelta


@dataclass(frozen=True)
class Chain:
    """Who is responsible for the patient, and who is on call at the clinic once they have all been asked."""

    people: tuple[Turn, ...]
    on_call: tuple[Turn, ...]

    def turn(self, severity: Severity, step: int) -> Turn | None:
        """Whose turn step `step` is. After the people it is the on-call's, in rounds; a low alert asks the first of them once,
        and nobody twice: to be asked again for what can wait is noise."""
        if step < len(self.people):
            return self.people[step]
        again = self.on_call or self.people
        beyond = step - len(self.people)
        if not again:
            return None
        if severity == "low" and (beyond > 0 or again[0].person in {turn.person for turn in self.people}):
            return None
        return again[beyond % len(again)]

    def round_of(self, step: int) -> int:
        """0 for the people themselves, then 1, 2 ... for each time the on-call is gone through."""
        again = self.on_call or self.people
        if step < len(self.people) or not again:
            return 0
        return 1 + (step - len(self.people)) // len(again)


@dataclass(frozen=True)
class Alert:
    """All instants UTC. `recipient` None: between two rounds (`deadline_at` is set), or nobody is left (it is not)."""

    id: UUID
    kind: str
    severity: Severity
    dedup_key: str
    chain: Chain
    raised_at: datetime
    state: State = "open"
    code: str = ""
    step: int = 0
    recipient: UUID | None = None
    deadline_at: datetime | None = None
    version: int = 1
    occurrence_id: UUID | None = None
    no_text_possible: bool = False


@dataclass(frozen=True)
class Moved:
    """An escalation: the alert as it is now, why, and whether ops must hear that the whole round went unanswered."""

    alert: Alert
    why: Why
    ops_hears: bool = False


def raised(alert: Alert, now: datetime, policy: AlertPolicy) -> Moved:
    """The first page. Where no chain is set up at all, ops hears at once."""
    turn = alert.chain.turn(alert.severity, 0)
    if turn is None:
        return Moved(_nobody(alert, now, policy, round_=1), "deadline", ops_hears=True)
    return Moved(replace(alert, recipient=turn.person, deadline_at=policy.deadline(alert.severity, now, turn.wait)), "deadline")


def escalated(alert: Alert, now: datetime, why: Why, policy: AlertPolicy) -> Moved | None:
    """The next one's turn. None where nothing changes: acknowledged, resolved, or nobody is left to ask.

    When a round ends, ops hears. Rounds of high and crisis repeat until somebody acknowledges, with a pause between them that
    also keeps a channel that refuses every page at once from spinning.
    """
    if alert.state != "open" or (alert.recipient is None and alert.deadline_at is None):
        return None
    between_rounds = alert.recipient is None
    turn = alert.chain.turn(alert.severity, alert.step + 1)
    next_round = alert.chain.round_of(alert.step + 1)
    ends_round = next_round > alert.chain.round_of(alert.step) or turn is None
    version = alert.version + 1
    if turn is None:
        return Moved(replace(_nobody(alert, now, policy, round_=max(next_round, 1)), version=version), why, ops_hears=True)
    pause = policy.pause(alert.severity, next_round) if ends_round else timedelta(0)
    if ends_round and not between_rounds and (pause or why == "withheld"):
        waiting = replace(alert, recipient=None, deadline_at=now + max(pause, timedelta(minutes=1)), version=version)
        return Moved(waiting, why, ops_hears=True)
    moved = replace(
        alert,
        step=alert.step + 1,
        recipient=turn.person,
        deadline_at=policy.deadline(alert.severity, now, turn.wait),
        version=version,
    )
    return Moved(moved, why, ops_hears=ends_round and not between_rounds)


def _nobody(alert: Alert, now: datetime, policy: AlertPolicy, round_: int) -> Alert:
    """Nobody to page: a low alert waits on the board, a high or crisis one comes back to ops after each pause."""
    if alert.severity == "low":
        return replace(alert, recipient=None, deadline_at=None)
    return replace(alert, recipient=None, deadline_at=now + max(policy.pause(alert.severity, round_), timedelta(minutes=1)))


def reminded(alert: Alert, now: datetime, policy: AlertPolicy, *, no_text_possible: bool = False) -> Moved | None:
    """Pages the first of the chain again, as a new step would; only while open."""
    turn = alert.chain.turn(alert.severity, 0)
    if alert.state != "open" or turn is None:
        return None
    moved = replace(
        alert,
        recipient=turn.person,
        deadline_at=policy.deadline(alert.severity, now, turn.wait),
        version=alert.version + 1,
        no_text_possible=alert.no_text_possible or no_text_possible,
    )
    return Moved(moved, "reminder")


def acknowledged(alert: Alert) -> Alert | None:
    """None where it changes nothing: acknowledged already, or resolved."""
    if alert.state != "open":
        return None
    return replace(alert, state="acknowledged", deadline_at=None, version=alert.version + 1)


def resolved(alert: Alert) -> Alert | None:
    """None where it is resolved already."""
    if alert.state == "resolved":
        return None
    return replace(alert, state="resolved", deadline_at=None, version=alert.version + 1)
