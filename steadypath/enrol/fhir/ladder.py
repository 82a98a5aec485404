"""Several dosage instructions of one request as one dose ladder: steps one after the other, or doses beside each other.

FHIR: instructions with the same (or no) `sequence` hold at the same time, different ones follow each other (Dosage.sequence).
Either way it must be plain from the file which day each step begins and ends on; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from shared.defaults import default
from steadypath.enrol.fhir import laying, timing
from steadypath.enrol.fhir.bounds import DAY, first_on
from steadypath.enrol.fhir.dosage import Dosage, Dose
from steadypath.enrol.fhir.laying import At
from steadypath.enrol.fhir.timing import Stated
from steadypath.enrol.outcome import Refusal

Kind = Literal["steady", "titration", "taper"]
BOUNDS_NEEDED = "boundsPeriod with start and end, or boundsDuration, for each step"


@dataclass(frozen=True)
class Part:
    """One instruction on the wall: its times, and the local dates it holds. `start` None: from when the plan starts."""

    dosage: Dosage
    stated: Stated
    at: tuple[At, ...]
    start: date | None = None
    end: date | None = None

    def holds(self, day: date) -> bool:
        return (self.start is None or self.start <= day) and (self.end is None or day <= self.end)

    def meets(self, other: Part) -> bool:
        """Whether both hold on some day."""
        starts = max(self.start or date.min, other.start or date.min)
        return starts <= min(self.end or date.max, other.end or date.max)

    def days(self) -> frozenset[int]:
        return frozenset(self.stated.weekdays or range(1, 8))


@dataclass(frozen=True)
class Rung:
    """What is taken from `on` (None: from the plan's start) until the next rung."""

    on: date | None
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Ladder:
    rungs: tuple[Rung, ...]
    parts: tuple[Part, ...]
    start: date | None
    end: date | None
    kind: Kind


def build(dosages: Sequence[Dosage], authored: date | None, today: date, routine: Mapping[str, str]) -> Ladder:
    """The ladder of the instructions that are not as-needed. Raises Refusal."""
    parts = _placed(dosages, authored, routine)
    _refuse_double(parts)
    rungs = _rungs(parts)
    ends = [part.end for part in parts]
    end = None if None in ends else max(one for one in ends if one is not None)
    ladder = Ladder(rungs, parts, rungs[0].on, end, _kind(rungs, end))
    _refuse_past(ladder, today)
    return ladder


def stated_of(dosage: Dosage) -> Stated:
    assert dosage.stated is not None, "a regular dosage has a timing"
    return dosage.stated


def span(dosage: Dosage, begin: date | None) -> tuple[date | None, date | None]:
    """First and last local date of an instruction that begins on `begin` unless it says so itself."""
    stated = stated_of(dosage)
    start = stated.bounds.start or begin
    if start is None:
        if stated.bounds.needs_start:
            raise Refusal(
                stated.bounds.element,
                "It says how long, and nothing says from which day.",
                "boundsPeriod.start, or MedicationRequest.authoredOn",
            )
        return None, stated.bounds.end
    if stated.weekdays and stated.every_days > 1:
        start = first_on(start, stated.weekdays)
    end = timing.ends_on(stated, start)
    if end is not None and end < start:
        raise Refusal(stated.bounds.element, "It ends before it begins.", "an end on the day it begins, or later")
    return start, end


def _placed(dosages: Sequence[Dosage], authored: date | None, routine: Mapping[str, str]) -> tuple[Part, ...]:
    numbers = {one.sequence for one in dosages}
    if None in numbers and len(numbers) > 1:
        missing = next(one for one in dosages if one.sequence is None)
        raise Refusal(f"{missing.path}.sequence", "Some instructions say in which order they come, some do not.", "all or none")
    parts: list[Part] = []
    begin = authored
    for number in sorted(numbers, key=lambda one: one or 0):
        group = [one for one in dosages if one.sequence == number]
        placed = [Part(one, stated_of(one), laying.lay(stated_of(one), routine, one.path), *span(one, begin)) for one in group]
        _refuse_overlap(parts, placed)
        parts.extend(placed)
        if number != max(numbers, key=lambda one: one or 0):
            begin = _after(placed)
    if any(part.start is None for part in parts) and any(part.start for part in parts):
        missing = next(part.dosage for part in parts if part.start is None)
        raise Refusal(f"{missing.path}.timing.repeat.bounds[x]", "Nothing says from which day.", BOUNDS_NEEDED)
    return tuple(parts)


def _after(placed: list[Part]) -> date:
    """The day after a step; each but the last must end."""
    for part in placed:
        if part.end is None:
            element = f"{part.dosage.path}.timing.repeat.bounds[x]"
            raise Refusal(element, "Another step follows, and nothing says when this one ends.", BOUNDS_NEEDED)
    return max(part.end for part in placed if part.end is not None) + DAY


def _refuse_overlap(before: list[Part], placed: list[Part]) -> None:
    for part in placed:
        if any(part.meets(other) for other in before):
            element = f"{part.dosage.path}.timing.repeat.boundsPeriod"
            raise Refusal(
                element, "By its sequence it follows another step; by its dates both hold at once.", "dates one after the other"
            )


def _refuse_double(parts: tuple[Part, ...]) -> None:
    """Doses beside each other: each says its own time of day, and no two the same."""
    for number, part in enumerate(parts):
        for other in (one for one in parts[:number] if one.meets(part) and one.days() & part.days()):
            if part.stated.laid or other.stated.laid:
                open_one = part if part.stated.laid else other
                raise Refusal(
                    f"{open_one.dosage.path}.timing.repeat",
                    "Two instructions hold at once, and this one does not say at what time of day.",
                    "timeOfDay or when, or steps that follow each other by sequence and bounds",
                )
            if {at.time for at in part.at} & {at.time for at in other.at}:
                raise Refusal(
                    f"{part.dosage.path}.timing.repeat",
                    "Two instructions of one medicine name the same time of day.",
                    "one dose for each time",
                )


def _rungs(parts: tuple[Part, ...]) -> tuple[Rung, ...]:
    points = {part.start for part in parts if part.start} | {part.end + DAY for part in parts if part.end is not None}
    changes: list[date | None] = [*([None] if parts[0].start is None else []), *sorted(points)]
    rungs = [Rung(on, tuple(part for part in parts if part.holds(on or date.min))) for on in changes]
    while len(rungs) > 1 and not rungs[-1].parts:
        rungs.pop()
    if rungs[0].on is None and len(rungs) > 1:
        raise Refusal(f"{parts[0].dosage.path}.timing.repeat.bounds[x]", "Nothing says from which day.", BOUNDS_NEEDED)
    for rung in rungs:
        for part in rung.parts:
            _refuse_broken_rhythm(part, rung)
    return tuple(rungs)


def _refuse_broken_rhythm(part: Part, rung: Rung) -> None:
    """A plan counts every-n-days from the first day of a step: a step that begins in mid-rhythm would shift it."""
    if part.stated.every_days == 1 or rung.on is None or part.start is None:
        return
    if (rung.on - part.start).days % part.stated.every_days:
        raise Refusal(
            f"{part.dosage.path}.timing.repeat.period",
            "Another instruction begins or ends in the middle of its interval.",
            "steps that follow each other",
        )


def _kind(rungs: tuple[Rung, ...], end: date | None) -> Kind:
    filled = [rung for rung in rungs if rung.parts]
    if len(filled) < 2:
        return "steady"
    first, last = _total(filled[0]), _total(filled[-1])
    return "taper" if end is not None and first is not None and last is not None and last < first else "titration"


def _total(rung: Rung) -> Decimal | None:
    doses: list[tuple[Dose, Stated]] = [(part.dosage.dose, part.stated) for part in rung.parts if part.dosage.dose is not None]
    if len({dose.comparable[1] for dose, _ in doses}) != 1 or len(doses) != len(rung.parts):
        return None
    return sum((dose.comparable[0] * stated.rate.numerator / stated.rate.denominator for dose, stated in doses), Decimal(0))


def _refuse_past(ladder: Ladder, today: date) -> None:
    last = max(ladder.parts, key=lambda part: part.end or date.max)
    refuse_past(last.stated, ladder.end, today)
    if ladder.start is not None and ladder.start > today + default("enrol", "start_at_most_ahead"):
        raise Refusal(
            f"{ladder.parts[0].dosage.path}.timing.repeat.boundsPeriod.start",
            "It begins in more than a year.",
            "a start within a year",
        )
    for part in ladder.parts:
        _refuse_part_of_day(part, today)


def refuse_past(stated: Stated, end: date | None, today: date) -> None:
    if end is not None and end < today:
        raise Refusal(stated.bounds.element, "It ended before today.", "an end that is today or later")


def _refuse_part_of_day(part: Part, today: date) -> None:
    """Bounds with a time of day cut a day in two; that is honoured where no dose lies in the part cut off."""
    bounds, at = part.stated.bounds, [one.time for one in part.at]
    element = bounds.element.rpartition(".")[0]
    if bounds.not_before and part.start is not None and part.start >= today and min(at) < bounds.not_before:
        raise Refusal(
            f"{element}.start", "It begins in the middle of a day, after that day's first dose.", "a start at 00:00, or a date"
        )
    if bounds.not_after and part.end is not None and max(at) > bounds.not_after:
        raise Refusal(
            f"{element}.end", "It ends in the middle of a day, before that day's last dose.", "an end at 00:00, or a date"
        )


def later(rungs: tuple[Rung, ...], earliest: date) -> tuple[Rung, ...]:
    """The same ladder, told from `earliest` on: what is over is left out, an interval keeps its rhythm."""
    if rungs[0].on is None or rungs[0].on >= earliest:
        return rungs
    current = max(number for number, rung in enumerate(rungs) if rung.on is not None and rung.on < earliest)
    rung = rungs[current]
    assert rung.on is not None
    every = 7
    for part in rung.parts:
        every *= part.stated.every_days
    weeks = -(-(earliest - rung.on).days // every)
    moved = rung.on + timedelta(days=weeks * every)
    following = rungs[current + 1 :]
    if following and following[0].on is not None and moved >= following[0].on:
        return following
    return (replace(rung, on=moved), *following)
