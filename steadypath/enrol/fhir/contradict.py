"""Holds a dosage's coded timing against its own text, and refuses it with both readings where they differ.

A text that several instructions of a request share ("1 tablet in the morning and 2 at bedtime") is held against all of them
together. What the text does not say contradicts nothing; what it says and the coding does not, does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from steadypath.enrol.fhir import text_days, timing, words
from steadypath.enrol.fhir.dosage import Dosage
from steadypath.enrol.fhir.laying import clinic_times
from steadypath.enrol.fhir.text import TextReading, read_text
from steadypath.enrol.fhir.text_days import DayOfText
from steadypath.enrol.fhir.timing import Stated
from steadypath.enrol.outcome import Refusal

_DAYS = {"min": Fraction(1, 1440), "h": Fraction(1, 24), "d": Fraction(1), "wk": Fraction(7), "mo": Fraction(30)}
AGREE = "a text and a coding that say the same"
#: Moments of a text: the `when` codes that say the same, the times of day that can be meant, and whether the clinic's own
#: times may stand for it ("every morning" at 09:00) or it must be coded ("at bedtime", "before lunch").
_MOMENTS: dict[str, tuple[frozenset[str], tuple[str, str], bool]] = {
    "morning": (frozenset(("MORN", "WAKE", "CM", "ACM", "PCM")), ("04:00", "11:59"), True),
    "breakfast": (frozenset(("CM", "ACM", "PCM", "MORN", "WAKE")), ("04:00", "11:30"), False),
    "lunch": (frozenset(("NOON", "CD", "ACD", "PCD")), ("10:30", "15:00"), False),
    "afternoon": (frozenset(("AFT", "PCD")), ("12:00", "18:00"), True),
    "dinner": (frozenset(("CV", "ACV", "PCV", "EVE")), ("16:00", "21:30"), False),
    "evening": (frozenset(("EVE", "CV", "ACV", "PCV")), ("16:30", "23:30"), True),
    "night": (frozenset(("NIGHT", "HS", "EVE")), ("19:00", "23:59"), True),
    "bedtime": (frozenset(("HS", "NIGHT")), ("19:30", "23:59"), False),
    "meals": (frozenset(("CM", "CD", "CV", "ACM", "ACD", "ACV", "PCM", "PCD", "PCV")), ("05:00", "21:30"), False),
}
_LABELS = {"AM": {"morning"}, "PM": {"afternoon", "evening"}, "BED": {"bedtime", "night"}}


def refuse(dosages: Sequence[Dosage], authored: date | None) -> None:
    """Raises Refusal for the first text that says something else than the coding it comes with. `authored`: the day from
    which a length counts where the timing states none."""
    shared: dict[str, list[tuple[Dosage, str]]] = {}
    for dosage in dosages:
        for element, text in dosage.texts:
            shared.setdefault(" ".join(text.lower().split()), []).append((dosage, element))
    for text, holders in shared.items():
        reading = read_text(text)
        if not reading.silent:
            _Witness(reading, [dosage for dosage, _ in holders], holders[0][1], authored).speak()


class _Witness:
    """One text against the instructions that carry it."""

    def __init__(self, text: TextReading, dosages: list[Dosage], element: str, authored: date | None) -> None:
        self.text, self.dosages, self.element, self.authored = text, dosages, element, authored
        self.path = dosages[0].path
        self.regular = [one for one in dosages if not one.as_needed]
        self.stated = [one.stated for one in dosages if one.stated is not None and one.stated.rhythm]

    def speak(self) -> None:
        self._staff_or_steps()
        self._as_needed()
        self._amount()
        self._rhythm()
        self._once()
        if self.regular:
            self._weekdays()
            self._clocks()
            self._moments()
        self._length()
        self._dates()

    def differ(self, element: str, text: str, timing_says: str) -> Refusal:
        what = "additional instruction" if "additional" in self.element else "text"
        return Refusal(element, f"The {what} says {text}; the timing says {timing_says}.", AGREE)

    def _staff_or_steps(self) -> None:
        if self.text.by_staff:
            raise Refusal(
                self.element, "The text speaks of an infusion or injection by staff.", "a medicine that a person takes at home"
            )
        if self.text.variable:
            raise self.differ(self.element, "that the dose depends on something else", "one dose")
        if self.text.stepped and len(self.dosages) == 1:
            raise self.differ(self.element, "that there are steps, one after the other", "one step")

    def _as_needed(self) -> None:
        if self.text.as_needed and len(self.regular) == len(self.dosages):
            raise self.differ(f"{self.path}.asNeeded[x]", "as needed", "at fixed times (no as-needed flag)")

    def _amount(self) -> None:
        coded = {one.dose.comparable for one in self.dosages if one.dose is not None}
        for unit in {unit for _, unit in coded}:
            said = self.text.amounts.get(unit)
            values = {value for value, one in coded if one == unit}
            if said and {(value, value) for value in values} != said:
                both = ", ".join(f"{words.spread(low, high)} {unit}" for low, high in sorted(said))
                element = next(one.dose.element for one in self.dosages if one.dose is not None)
                raise self.differ(element, both, ", ".join(f"{words.number(one)} {unit}" for one in sorted(values)))

    def _rhythm(self) -> None:
        if not self.stated or self.text.stepped:
            return
        coded = sum((one.rate for one in self.stated), Fraction(0))
        if self.text.times is not None and self.text.period is not None:
            low, high = _rates(self.text)
            if not (low == high and _same(low, coded, self.text.period[2])):
                raise self.differ(self._repeat(), words.text_rhythm(self.text), self._coded_rhythm())
            return
        counted = len(self.text.clocks) or len(text_days.apart(self.text.moments - {"meals"}))
        taken = sum(one.per_day for one in self.stated)
        if counted and "meals" not in self.text.moments and counted != taken:
            said = ", ".join(self.text.clocks or sorted(self.text.moments))
            raise self.differ(self._repeat(), f"{words.times(str(counted), 'a day')} ({said})", self._coded_rhythm())

    def _repeat(self) -> str:
        return f"{self.path}.timing.repeat"

    def _coded_rhythm(self) -> str:
        return " and ".join(words.rhythm(one) for one in self.stated)

    def _once(self) -> None:
        for one in self.stated:
            if self.text.single and not (one.bounds.count == 1 or (one.per_day == 1 and _days(one, self.authored) == 1)):
                raise self.differ(f"{self._repeat()}.count", "a single dose", f"{words.rhythm(one)}, again and again")

    def _weekdays(self) -> None:
        coded = {day for one in self.stated for day in one.weekdays}
        if self.text.weekdays and coded != self.text.weekdays:
            said = ", ".join(words.DAYS[day - 1] for day in sorted(self.text.weekdays))
            theirs = ", ".join(words.DAYS[day - 1] for day in sorted(coded)) or "no day of the week"
            raise self.differ(f"{self._repeat()}.dayOfWeek", said, theirs)

    def _clocks(self) -> None:
        coded = sorted({f"{at:%H:%M}" for one in self.stated for at in one.times})
        if self.text.clocks and list(self.text.clocks) != coded:
            theirs = ", ".join(coded) or "no time of day"
            raise self.differ(f"{self._repeat()}.timeOfDay", "at " + ", ".join(self.text.clocks), theirs)

    def _moments(self) -> None:
        for moment in sorted(self.text.moments):
            if self.stated and not any(_means(one, moment) for one in self.stated):
                named = any(not one.laid for one in self.stated)
                said = f"at {moment}" if moment != "meals" else "with meals"
                raise self.differ(f"{self._repeat()}.when", said, "another time of day" if named else "no time of day")

    def _length(self) -> None:
        if self.text.duration is None or self.text.stepped:
            return
        low, high, unit = self.text.duration
        for one in (each for each in self.dosages if each.stated is not None):
            stated = one.stated
            assert stated is not None
            days = _days(stated, self.authored)
            if low != high or not _lasts(stated, days, low, unit):
                element = stated.bounds.element if stated.bounds.ends else f"{one.path}.timing.repeat.bounds[x]"
                raise self.differ(element, words.text_length(self.text), words.length(stated.bounds, days))

    def _dates(self) -> None:
        for said, name in ((self.text.starts, "start"), (self.text.ends, "end")):
            for one in self.dosages:
                coded = (one.stated.bounds.start if name == "start" else one.stated.bounds.end) if one.stated else None
                if said is not None and not _is_day(said, coded):
                    verb = "starts on" if name == "start" else "ends on"
                    theirs = f"it {verb} {coded}" if coded else f"no {name}"
                    element = f"{one.path}.timing.repeat.boundsPeriod.{name}"
                    raise self.differ(element, f"it {verb} {words.day(said)}", theirs)


def _rates(text: TextReading) -> tuple[Fraction, Fraction]:
    """The slowest and the fastest rate that the text allows, in doses a day."""
    assert text.times is not None
    assert text.period is not None
    shortest, longest = (Fraction(one) * _DAYS[text.period[2]] for one in text.period[:2])
    share = Fraction(len(text.weekdays), 7) if text.weekdays and text.period[2] == "d" and longest == 1 else Fraction(1)
    if shortest <= 0:
        return Fraction(0), Fraction(10**6)
    return text.times[0] * share / longest, text.times[1] * share / shortest


def _same(said: Fraction, coded: Fraction, unit: str) -> bool:
    """Equal; a month may be any from 28 to 31 days."""
    return said == coded or (unit == "mo" and coded > 0 and Fraction(28) <= said * 30 / coded <= Fraction(31))


def _days(stated: Stated, authored: date | None) -> int | None:
    """How many days it lasts, where that can be said."""
    if stated.bounds.days is not None and stated.bounds.count is None:
        return stated.bounds.days
    start = stated.bounds.start or authored or (date(2024, 1, 1) if stated.bounds.count is not None else None)
    end = timing.ends_on(stated, start) if start else None
    return (end - start).days + 1 if end and start else None


def _lasts(stated: Stated, days: int | None, said: Decimal, unit: str) -> bool:
    if unit == "mo":
        return stated.bounds.months == said or (days is not None and said * 28 <= days <= said * 31)
    if days is None:
        return False
    expected = Fraction(said) * _DAYS[unit]
    # The last of counted doses may come before the end of the course: every other day for two weeks.
    slack = stated.every_days - 1 if stated.bounds.count is not None and not stated.weekdays else 6 if stated.weekdays else 0
    return expected - slack <= days <= expected


def _is_day(said: DayOfText, coded: date | None) -> bool:
    return coded is not None and (coded.month, coded.day) == said[:2] and said[2] in (None, coded.year)


def _means(stated: Stated, moment: str) -> bool:
    """Whether the coding's times of day are, or may well be, what the text calls `moment`."""
    codes, (first, last), loose = _MOMENTS[moment]
    if stated.when:
        return bool(codes & set(stated.when))
    if stated.times:
        return any(first <= f"{at:%H:%M}" <= last for at in stated.times)
    if stated.label is not None:
        return moment in _LABELS[stated.label]
    return loose and any(first <= at <= last for at in clinic_times(stated))
