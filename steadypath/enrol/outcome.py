"""What became of each resource or row of a file: the JSON object and the line that `enrol` prints (DESIGN.md 6).

No reason ever holds a value that can identify a person: elements are named, values are not quoted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from steadypath.errors import DONE, REFUSED

Outcome = Literal["enrolled", "unchanged", "draft", "refused"]
TimesFrom = Literal["plan", "routine"]


class Refusal(Exception):
    """This cannot go in. `element` is where it stands in the caller's own terms, `accepted` what would be taken instead."""

    def __init__(self, element: str | None, reason: str, accepted: str | None = None) -> None:
        super().__init__(reason)
        self.element, self.reason, self.accepted = element, reason, accepted


@dataclass(frozen=True)
class SlotReading:
    """What one dosage was read as. `times` are local "HH:MM", `every` an ISO 8601 period, `until` the last local date."""

    times: tuple[str, ...] = ()
    times_from: TimesFrom = "plan"
    every: str = "P1D"
    days: tuple[str, ...] | None = None
    until: str | None = None
    as_needed: bool = False
    dose: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "times": list(self.times),
            "times_from": self.times_from,
            "every": self.every,
            "days": list(self.days) if self.days is not None else None,
            "until": self.until,
            "as_needed": self.as_needed,
            "dose": self.dose,
        }

    def in_words(self) -> str:
        """For a person: "50 mg at 09:00, 21:00 (routine), until 2026-12-01"."""
        if self.as_needed:
            return f"{self.dose or 'a dose'} as needed: logged, never asked for"
        rhythm = "" if self.every == "P1D" else f" every {self.every}"
        days = f" on {', '.join(self.days)}" if self.days else ""
        source = " (routine)" if self.times_from == "routine" else ""
        until = f", until {self.until}" if self.until else ""
        return f"{self.dose or 'a dose'} at {', '.join(self.times)}{source}{rhythm}{days}{until}"


@dataclass(frozen=True)
class Row:
    """One resource (`Type/id`), or one row of a native file (`patient/ID`, `medicine/ID`); `item` None: the file itself."""

    file: str
    item: str | None
    outcome: Outcome
    paused: bool = False
    element: str | None = None
    reason: str | None = None
    accepted: str | None = None
    slots: tuple[SlotReading, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "item": self.item,
            "outcome": self.outcome,
            "paused": self.paused,
            "element": self.element,
            "reason": self.reason,
            "accepted": self.accepted,
            "slots": [slot.as_json() for slot in self.slots],
        }

    def line(self) -> str:
        """One line for a person."""
        where = f"{self.file}: {self.item}" if self.item else self.file
        said = f"{where}: {self.outcome}{' (paused)' if self.paused else ''}"
        if self.outcome in ("refused", "draft"):
            said += f": {self.element}: {self.reason}" if self.element else f": {self.reason}"
            said += f" Accepted: {self.accepted}." if self.accepted else ""
        return said + "".join(f"; {slot.in_words()}" for slot in self.slots)


def refused(file: str, item: str | None, refusal: Refusal) -> Row:
    """The row of a refusal."""
    return Row(file, item, "refused", element=refusal.element, reason=refusal.reason, accepted=refusal.accepted)


def exit_code(rows: Iterable[Row]) -> int:
    """1 when any row is refused; a draft alone is 0."""
    return REFUSED if any(row.outcome == "refused" for row in rows) else DONE
