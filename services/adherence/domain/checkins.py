"""Check-ins: answered, missed (asked and silent) or unasked(why). What was never asked is never missed (DESIGN.md rule 3).

Instruments are data: items, their score range, and their source. Only scores are kept, never words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.adherence.domain.silence import Fact, Why, Window, is_withdrawn, why_silent

CheckInState = Literal["expected", "answered", "missed", "unasked", "withdrawn"]


@dataclass(frozen=True)
class Instrument:
    """A question or a row of them, asked one text at a time. Scores run from `lowest` to `highest`, both included."""

    id: str
    items: tuple[str, ...]
    lowest: int
    highest: int
    source: str

    def accepts(self, score: int | None) -> bool:
        return score is not None and self.lowest <= score <= self.highest

    def next_item(self, answered: Iterable[str]) -> str | None:
        """The first item without an answer; None when all have one."""
        done = set(answered)
        return next((item for item in self.items if item not in done), None)


@dataclass(frozen=True)
class Score:
    value: int
    at: datetime
    late: bool


@dataclass(frozen=True)
class CheckInOutcome:
    state: CheckInState
    at: datetime
    why: Why | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)


def scores_of(window: Window, first_item: str, instrument: Instrument, facts: Iterable[Fact]) -> dict[str, Score]:
    """The last score given to each item, in the order of the instrument; scores outside its range are no answers."""
    found: dict[str, Score] = {}
    for fact in sorted(facts, key=lambda one: (one.at, one.id)):
        item = fact.item or first_item
        if fact.kind == "answer" and fact.value == "score" and fact.score is not None and instrument.accepts(fact.score):
            found[item] = Score(fact.score, fact.at, fact.at > window.answer_until)
    return {item: found[item] for item in instrument.items if item in found}


def decide(window: Window, first_item: str, instrument: Instrument, facts: Iterable[Fact]) -> CheckInOutcome:
    """What the record says now. One item answered makes it answered: something came back."""
    known = tuple(facts)
    scores = scores_of(window, first_item, instrument, known)
    if scores:
        return CheckInOutcome("answered", min(score.at for score in scores.values()), scores=scores)
    if is_withdrawn(window, known):
        return CheckInOutcome("withdrawn", window.due_at)
    if not window.closed:
        return CheckInOutcome("expected", window.due_at)
    why = why_silent(window, known)
    if why == "delivered-but-silent":
        return CheckInOutcome("missed", window.answer_until)
    return CheckInOutcome("unasked", window.answer_until, why=why)


def in_a_row(newest_first: Sequence[str]) -> int:
    """How many check-ins of a series were missed in a row, given the states from the newest back.

    An unasked or withdrawn one neither counts nor ends the row: it says nothing about the patient.
    """
    count = 0
    for state in newest_first:
        if state == "missed":
            count += 1
        elif state == "answered":
            break
    return count
