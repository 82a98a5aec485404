"""The outcome of one dose occurrence: expected -> taken | skipped | missed | unknown(why) | withdrawn, revised by late facts.

Every outcome is a function of the set of facts (see silence.py), so any interleaving of events ends the same; `Ledger` keeps
what has been said so far, so that each *change* is said once, under a rising revision number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Literal

from services.adherence.domain.silence import Fact, Why, Window, is_withdrawn, latest, why_silent

DoseState = Literal["expected", "taken", "skipped", "missed", "unknown", "withdrawn"]
#: What an answer says about the dose. "later" and unreadable words say nothing yet. "no" is a person saying it was missed.
ANSWERS: dict[str, DoseState] = {"taken": "taken", "yes": "taken", "skipped": "skipped", "no": "missed"}
#: What a person of the care team may correct an outcome to.
CORRECTIONS: dict[str, DoseState] = {"taken": "taken", "skipped": "skipped", "missed": "missed"}


@dataclass(frozen=True)
class DoseOutcome:
    """`at`: when it was answered, or when its window closed (UTC). `late`: answered after the window."""

    state: DoseState
    at: datetime
    why: Why | None = None
    late: bool = False
    reason: str | None = None


def decide(window: Window, facts: Iterable[Fact]) -> DoseOutcome:
    """What the record says now. A person's correction outranks the patient's answers; of several, the last one said counts."""
    known = tuple(facts)
    said = _said(window, known)
    if said is not None:
        return said
    if is_withdrawn(window, known):
        return DoseOutcome("withdrawn", window.due_at)
    if window.closed or window.due_version == 0:
        return DoseOutcome("unknown", window.answer_until, why=why_silent(window, known))
    return DoseOutcome("expected", window.due_at)


def _said(window: Window, known: tuple[Fact, ...]) -> DoseOutcome | None:
    correction = latest(fact for fact in known if fact.kind == "correction" and fact.value in CORRECTIONS)
    if correction is not None:
        return DoseOutcome(CORRECTIONS[str(correction.value)], correction.at, reason=correction.reason)
    answers = sorted(
        (fact for fact in known if fact.kind == "answer" and fact.value in ANSWERS), key=lambda one: (one.at, one.id)
    )
    if not answers:
        return None
    state = ANSWERS[str(answers[-1].value)]
    # The same answer again adds nothing (R43): it counts from when it was first given in this row.
    again = list(takewhile(lambda one: ANSWERS[str(one.value)] == state, reversed(answers)))
    answer = again[-1]
    reason = answer.reason if state == "skipped" else None
    return DoseOutcome(state, answer.at, late=answer.at > window.answer_until, reason=reason)


@dataclass(frozen=True)
class Ledger:
    """One occurrence's record and what has been said of it. `revision` counts what was said; 0 = nothing yet."""

    window: Window | None = None
    facts: frozenset[Fact] = frozenset()
    said: DoseOutcome | None = None
    revision: int = 0

    def with_fact(self, fact: Fact) -> Ledger:
        return replace(self, facts=self.facts | {fact})

    def with_window(self, window: Window) -> Ledger:
        """A due event: the highest plan version counts; what is known of the closing is kept."""
        if self.window is not None and self.window.due_version >= window.due_version:
            return self
        if self.window is None:
            return replace(self, window=window)
        old = self.window
        return replace(self, window=replace(window, closed=old.closed, incomplete=old.incomplete, channel_down=old.channel_down))

    def closed(self, *, incomplete: bool, channel_down: bool) -> Ledger:
        if self.window is None or self.window.closed:
            return self
        return replace(self, window=replace(self.window, closed=True, incomplete=incomplete, channel_down=channel_down))

    def settled(self) -> tuple[Ledger, DoseOutcome | None]:
        """Says what is new: (ledger, outcome to say), or (ledger, None) where the record says what was said already."""
        if self.window is None:
            return self, None
        outcome = decide(self.window, self.facts)
        if outcome == self.said or (self.said is None and outcome.state == "expected"):
            return self, None
        return replace(self, said=outcome, revision=self.revision + 1), outcome
