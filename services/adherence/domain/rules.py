"""Rules that tell a clinician, as data: gaps since the last dose, and rows of doses not taken. What follows is always the same:
stop asking to take, and tell the prescriber. Never advice (DESIGN.md rule 4). Sources stand with each rule in data/rules.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

#: Labels leave real gaps at their edges (clinical.md 0.1): there the answer is that no answer is defined.
GapResult = Literal["within", "edge-not-defined", "beyond"]


@dataclass(frozen=True)
class GapRule:
    """A gap shorter than `within_below` needs nobody; one longer than `beyond_above` is what the source speaks of."""

    id: str
    within_below: timedelta
    beyond_above: timedelta
    source: str


@dataclass(frozen=True)
class PatternRule:
    """At least `in_a_row` doses in a row not taken as far as anybody knows, the first at least `spanning` before the last."""

    id: str
    in_a_row: int
    spanning: timedelta
    source: str


@dataclass(frozen=True)
class DoseOnRecord:
    """A dose of one medicine whose outcome is in, or still out (`expected`). `due_at` stands for when it was taken: the true
    minute is unknown, and the planned one makes the gap longer, which is the safe side."""

    due_at: datetime
    state: str
    why: str | None = None

    @property
    def not_taken_as_far_as_known(self) -> bool:
        """Said to be skipped or missed, or asked, arrived and silent. Silence of our own making says nothing."""
        return self.state in {"skipped", "missed"} or (self.state == "unknown" and self.why == "delivered-but-silent")

    @property
    def may_have_been_taken(self) -> bool:
        return self.state == "taken" or (self.state == "unknown" and self.why != "delivered-but-silent")


def judge_gap(rule: GapRule, gap: timedelta) -> GapResult:
    """Both edges themselves are undefined where they differ; a rule of one number (48 h) speaks of what is *longer* than it."""
    if gap > rule.beyond_above:
        return "beyond"
    if gap < rule.within_below or rule.within_below == rule.beyond_above:
        return "within"
    return "edge-not-defined"


def gap_now(doses: Sequence[DoseOnRecord], now: datetime, decided_at: datetime | None) -> timedelta | None:
    """How long ago the last dose was that may have been taken, or None where no gap can be spoken of.

    None: a window is open (its answer is still out), or no dose has failed since. `decided_at` is when a prescriber last
    resumed asking: what was before has been decided on.
    """
    if any(dose.state == "expected" and dose.due_at <= now for dose in doses):
        return None
    starts = [dose.due_at for dose in doses if dose.may_have_been_taken]
    if decided_at is not None:
        starts.append(decided_at)
    failed = [dose.due_at for dose in doses if dose.not_taken_as_far_as_known]
    if not failed:
        return None
    # Nobody knows of a dose before the first failed one: the gap is at least as old as that one.
    since = max(starts, default=min(failed))
    return now - since if any(at > since or not starts for at in failed) else None


def pattern_holds(rule: PatternRule, doses: Sequence[DoseOnRecord]) -> bool:
    """Whether the newest doses form the pattern. A dose whose fate nobody knows neither counts nor ends the row."""
    row: list[datetime] = []
    for dose in sorted(doses, key=lambda one: one.due_at, reverse=True):
        if dose.state == "taken":
            break
        if dose.not_taken_as_far_as_known:
            row.append(dose.due_at)
    return len(row) >= rule.in_a_row and row[0] - row[-1] >= rule.spanning
