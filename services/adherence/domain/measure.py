"""Adherence as a range over the last days, never one false number (DESIGN.md rule 3). Self-report: do not call it PDC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

COUNTED = frozenset({"taken", "skipped", "missed", "unknown"})


@dataclass(frozen=True)
class Range:
    """Fractions 0..1: `low` counts every unknown as not taken, `high` as taken. No dose expected: 0..1, nothing is known."""

    expected: int
    taken: int
    unknown: int

    @property
    def low(self) -> float:
        return self.taken / self.expected if self.expected else 0.0

    @property
    def high(self) -> float:
        return (self.taken + self.unknown) / self.expected if self.expected else 1.0


def adherence(states: Iterable[str]) -> Range:
    """Counts doses whose outcome is in: expected ones (window still open) and withdrawn ones say nothing."""
    counted = [state for state in states if state in COUNTED]
    return Range(len(counted), counted.count("taken"), counted.count("unknown"))


def worth_saying(new: Range, said: tuple[float, float] | None, said_at: datetime | None, now: datetime, by: float) -> bool:
    """Said when an end of the range has moved by `by` or more (0.05 = five points); a smaller move at most once a day."""
    if said is None or said_at is None:
        return True
    # Rounded: 0.85 - 0.80 is 0.04999... in binary.
    moved = round(max(abs(new.low - said[0]), abs(new.high - said[1])), 9)
    return moved >= by or (moved > 0 and now - said_at >= timedelta(days=1))
