"""From what a timing states to times on the patient's wall: as stated, on the clinic's routine (and said so), or on the
patient's own. A moment for which nobody has given a time is refused; a frequency is not a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time

from shared.defaults import default
from steadypath.enrol.fhir.timing import Stated
from steadypath.enrol.outcome import Refusal, TimesFrom

_NUMBERS = {1: "times_once", 2: "times_twice", 3: "times_three", 4: "times_four"}
_LABELS = {"AM": "times_am", "PM": "times_pm", "BED": "times_bed"}
#: Which entries of a routine give the time of FHIR's EventTiming codes; the first that is there.
ROUTINE: dict[str, tuple[str, ...]] = {
    "WAKE": ("wake",), "MORN": ("morning",), "NOON": ("noon",), "AFT": ("afternoon",), "EVE": ("evening",), "NIGHT": ("night",),
    "HS": ("bedtime", "sleep"),
    "CM": ("breakfast",), "ACM": ("breakfast",), "PCM": ("breakfast",),
    "CD": ("lunch",), "ACD": ("lunch",), "PCD": ("lunch",),
    "CV": ("dinner",), "ACV": ("dinner",), "PCV": ("dinner",),
}  # fmt: skip
_BEFORE = ("ACM", "ACD", "ACV")


@dataclass(frozen=True, order=True)
class At:
    """A time of a day of taking, "HH:MM". `routine`: the entry of the patient's routine that it is, exactly."""

    time: str
    times_from: TimesFrom = "plan"
    routine: str | None = None


def clinic_times(stated: Stated) -> tuple[str, ...]:
    """The clinic's times for a statement without times of its own."""
    if stated.label is not None:
        name = _LABELS[stated.label]
    elif stated.interval_hours is not None:
        name = f"times_every_{stated.interval_hours}h"
    else:
        name = _NUMBERS[stated.per_day]
    return tuple(default("enrol", name))


def lay(stated: Stated, routine: Mapping[str, str], path: str) -> tuple[At, ...]:
    """The times of a day of taking, in order. Raises Refusal where only the patient's routine could say, and does not."""
    if stated.times:
        return tuple(At(f"{at:%H:%M}") for at in stated.times)
    if not stated.when:
        return tuple(At(at, "routine") for at in clinic_times(stated))
    found = sorted(_moment(code, stated.offset, routine, f"{path}.timing.repeat") for code in stated.when)
    if len({one.time for one in found}) != len(found):
        raise Refusal(
            f"{path}.timing.repeat.when", "Two of its moments are one time of day in the routine.", "moments that differ"
        )
    return tuple(found)


def _moment(code: str, offset: int, routine: Mapping[str, str], path: str) -> At:
    key = next((one for one in ROUTINE[code] if one in routine), None)
    if key is None:
        raise Refusal(
            f"{path}.when",
            f"The patient's routine does not say when {code} is.",
            f"timeOfDay, or a routine for the patient with {ROUTINE[code][0]}",
        )
    at = time.fromisoformat(routine[key])
    if not offset:
        return At(f"{at:%H:%M}", "routine", key)
    minutes = at.hour * 60 + at.minute + (-offset if code in _BEFORE else offset)
    if not 0 <= minutes < 24 * 60:
        raise Refusal(f"{path}.offset", "It leads to another day.", "a smaller offset, or timeOfDay")
    return At(f"{minutes // 60:02d}:{minutes % 60:02d}", "routine")
