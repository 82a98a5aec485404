"""What a rehearsal found, as data: every text, what patients answered, and what had to be assumed. Views and JSON are made of it.

Nothing here is for keeping: bodies and names are shown to whoever asked for the rehearsal and are gone with its folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

Status = Literal["sent", "withheld", "expired"]


@dataclass(frozen=True)
class Text:
    """One text of the clinic, or one that did not go.

    `at` is aware, in the recipient's own `zone` (IANA); where nothing left it is when that was decided. `kind` is the event that
    caused it ("dose-due"); `patient` the file's id, None for a text about the clinic as a whole; `text` as sent, None where
    nothing left; `why` one sentence. `answer`: it answers what the patient has just written, so that the daily cap does not
    count it.
    """

    at: datetime
    zone: str
    to: Literal["patient", "care-team"]
    patient: str | None
    kind: str
    text: str | None
    status: Status
    why: str
    answer: bool = False

    def as_json(self) -> dict[str, object]:
        """The keys of DESIGN.md 6."""
        return {
            "at": self.at.isoformat(),
            "zone": self.zone,
            "to": self.to,
            "patient": self.patient,
            "kind": self.kind,
            "text": self.text,
            "status": self.status,
            "why": self.why,
        }


@dataclass(frozen=True)
class Reply:
    """What was written back: by the patient, or by the care team to a text about them. `at` is aware, in the patient's zone."""

    at: datetime
    patient: str
    text: str
    by: Literal["patient", "care-team"] = "patient"


@dataclass(frozen=True)
class Rehearsed:
    """A patient of the rehearsal. `cap_a_day`: texts that the clinic lets go to one patient on one local day."""

    id: str
    zone: str
    cap_a_day: int


@dataclass(frozen=True)
class Story:
    """The whole. `first_day` is local to each patient. `assumed`: sentences on what the files do not say and the rehearsal made
    up. `texts` and `replies` are in time order."""

    first_day: date
    weeks: int
    patients: tuple[Rehearsed, ...]
    texts: tuple[Text, ...]
    replies: tuple[Reply, ...]
    assumed: tuple[str, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """Every local date of it."""
        return tuple(self.first_day + timedelta(days=number) for number in range(7 * self.weeks))
