"""Patients whose doses fall due within the next minutes, and what the phones must then show: the oracle's own arithmetic.

Nothing here asks the product what was due. Every patient has one medicine a slot, each with a label found nowhere else: a text on
a phone says by itself which dose it was for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.canary import Canaries

#: Local hour of the patients: far from quiet hours, in which a welcome would wait, and from midnight.
_LOCAL_HOUR = 13


@dataclass(frozen=True)
class Due:
    """One dose text that must come: to this number, with this label in it, not before this instant (UTC)."""

    patient: str
    number: str
    label: str
    wave: int
    at: datetime


@dataclass
class Cohort:
    """`size` patients with a dose at each of `waves` (UTC, whole minutes)."""

    name: str
    size: int
    waves: Sequence[datetime]
    canaries: Canaries = field(default_factory=Canaries)
    dues: list[Due] = field(default_factory=list)
    patients: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.zone = zone_at_noon(self.waves[0])
        for number in range(self.size):
            self._add(f"{self.name}-{number}")

    def _add(self, patient: str) -> None:
        number, drug = self.canaries.number(), self.canaries.drug()
        slots, medicines = {}, []
        for wave, at in enumerate(self.waves):
            slot, label = f"slot-{wave}", f"{drug}w{wave}e"
            slots[slot] = at.astimezone(ZoneInfo(self.zone)).strftime("%H:%M")
            doses = [{"slot": slot, "quantity": "1", "unit": "tablet"}]
            medicines.append({"id": f"m-{wave}", "label": label, "kind": "steady", "steps": [{"from_day": 1, "doses": doses}]})
            self.dues.append(Due(patient, number, label, wave, at))
        self.patients.append(
            {
                "id": patient,
                "name": self.canaries.name(),
                "phone": number,
                "zone": self.zone,
                "language": "en",
                "privacy": "named",
                "number_given": True,
                "consent": {"given_on": "2026-01-05", "how": "paper form", "to_whom": "front desk"},
                "plan": {"slots": slots, "medicines": medicines},
            }
        )

    def file(self) -> str:
        """The cohort in the native format."""
        return json.dumps({"steadypath": 1, "patients": self.patients})

    def of_wave(self, wave: int) -> list[Due]:
        return [due for due in self.dues if due.wave == wave]


def zone_at_noon(now: datetime) -> str:
    """A zone in which it is early afternoon. (POSIX signs: Etc/GMT+5 is five hours behind UTC.)"""
    behind = (now.hour - _LOCAL_HOUR + 12) % 24 - 12
    return "Etc/GMT" if behind == 0 else f"Etc/GMT{'+' if behind > 0 else '-'}{abs(behind)}"


def minutes_from(now: datetime, first: timedelta, *, waves: int, apart: timedelta) -> list[datetime]:
    """Whole minutes: the first at least `first` from now, then `apart` from each other."""
    start = (now + first).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return [start + wave * apart for wave in range(waves)]
