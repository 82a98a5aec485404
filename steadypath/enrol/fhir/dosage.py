"""One dosageInstruction: how much, by which way, as needed or not, and the texts that come with it.

What no person takes at home (infusions, what staff injects, doses by body weight) is refused; so is a dose that is a range.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from steadypath.enrol.fhir import node, timing
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.fhir.text_amounts import canonical, unit_word
from steadypath.enrol.fhir.timing import Stated
from steadypath.enrol.outcome import Refusal

#: Ways in which a medicine is given by staff; words as they stand in displays, codes of v3-RouteOfAdministration, and the few
#: SNOMED CT codes that FHIR's own examples use.
_BY_STAFF = re.compile(
    r"intraven|infus|\biv\b|\bivp\b|\bivpb\b|intramusc|\bim\b|intrathec|epidur|intraarter|intra-arter|intraosse|intraperiton|"
    r"intravitre|intra-?articul|intradermal|\bbolus\b|\bdrip\b|perfusion|irrigation|dialysis|haemofiltr|hemofiltr",
    re.IGNORECASE,
)
_STAFF_CODES = frozenset((
    "47625008", "255560000", "418114005", "419993007", "424494006", "78421000", "72607000", "404820008", "58100008", "37839007",
    "IV", "IVINJ", "IVINJBOL", "IVPUSH", "IVRPUSH", "IVSOAK", "IM", "IMD", "IMZ", "EPI", "IOSSINJ", "IPINJ", "IVITINJ",
))  # fmt: skip
_HOME = "a medicine that a person takes at home"
#: As the scheduler's plans and the events take it (services/scheduler/bodies.py, shared/events/base.py).
_UNIT = re.compile(r"[A-Za-zµ%][A-Za-zµ0-9%/.]{0,15}")
_PER_BODY = re.compile(r"/\s*(?:kg|m2|m²|lb)\b|/\s*\{?(?:body)", re.IGNORECASE)
_MOST = Decimal(100_000)


@dataclass(frozen=True)
class Dose:
    """One intake. `unit` as the file has it, `word` as a plan names it ("tablet")."""

    value: Decimal
    unit: str
    word: str
    element: str

    @property
    def words(self) -> str:
        return f"{plain(self.value)} {self.unit}".strip()

    @property
    def comparable(self) -> tuple[Decimal, str]:
        """In mg, or by the unit's one name."""
        return canonical(self.value, self.unit)


@dataclass(frozen=True)
class Dosage:
    """What one dosageInstruction states. `stated` None: as needed, without a timing. `texts`: (element, text)."""

    path: str
    sequence: int | None
    as_needed: bool
    stated: Stated | None
    dose: Dose | None
    texts: tuple[tuple[str, str], ...]


def plain(value: Decimal) -> str:
    """A number as a person writes it: no exponent, no trailing zeros."""
    return f"{value.normalize():f}"


def read(dosage: Json, path: str) -> Dosage:
    """Reads one instruction. Raises Refusal naming the element."""
    _refuse_staff(dosage, path)
    as_needed = node.flag(dosage, "asNeededBoolean", path) or dosage.get("asNeededCodeableConcept") is not None
    dose = _dose(dosage, path)
    stated = _timing(dosage, path, as_needed)
    if stated is not None and not as_needed:
        _refuse_over_maximum(dosage, path, dose, stated)
    number = node.number_of(dosage, "sequence", path)
    if number is not None and number != number.to_integral_value():
        raise Refusal(f"{path}.sequence", "This is not a whole number.", "1, 2, 3 ...")
    return Dosage(path, None if number is None else int(number), as_needed, stated, dose, _texts(dosage, path))


def _timing(dosage: Json, path: str, as_needed: bool) -> Stated | None:
    found = node.child(dosage, "timing", path)
    if found is None or (as_needed and not found):
        if as_needed:
            return None
        raise Refusal(f"{path}.timing", "Only a text, or nothing, says when: that is not read by a machine.", "a coded timing")
    repeat = node.child(found, "repeat", path) or {}
    if as_needed and "code" not in found and set(repeat) <= {"boundsPeriod", "boundsDuration", "id"}:
        # As needed with nothing but bounds: no rhythm is stated, and the bounds still hold.
        daily = {"repeat": {**repeat, "frequency": 1, "period": 1, "periodUnit": "d"}}
        return replace(timing.read(daily, f"{path}.timing"), rhythm=False)
    return timing.read(found, f"{path}.timing")


def _refuse_staff(dosage: Json, path: str) -> None:
    for key in ("route", "method"):
        words = node.concept_words(node.child(dosage, key, path), f"{path}.{key}")
        if any(_BY_STAFF.search(word) or word in _STAFF_CODES for word in words):
            raise Refusal(f"{path}.{key}", "It is given by staff, not taken at home.", _HOME)
    for part, where in node.children(dosage, "doseAndRate", path):
        for key in ("rateRatio", "rateRange", "rateQuantity"):
            if part.get(key) is not None:
                raise Refusal(f"{where}.{key}", "An infusion with a rate is not taken at home.", _HOME)


def _dose(dosage: Json, path: str) -> Dose | None:
    found: list[Dose] = []
    for part, where in node.children(dosage, "doseAndRate", path):
        if part.get("doseRange") is not None:
            raise Refusal(
                f"{where}.doseRange", "A range leaves open how much is taken: the prescriber must decide.", "doseQuantity"
            )
        quantity = node.child(part, "doseQuantity", where)
        if quantity is not None:
            found.append(_quantity(quantity, f"{where}.doseQuantity"))
    if len({one.comparable for one in found}) > 1:
        raise Refusal(f"{path}.doseAndRate", "It states several doses: the prescriber must say which.", "one doseQuantity")
    if found and dosage.get("maxDosePerAdministration") is not None:
        most = node.child(dosage, "maxDosePerAdministration", path) or {}
        limit = _quantity(most, f"{path}.maxDosePerAdministration")
        if limit.comparable[1] == found[0].comparable[1] and found[0].comparable[0] > limit.comparable[0]:
            raise Refusal(f"{path}.maxDosePerAdministration", "The dose is above this maximum.", "a dose up to the maximum")
    return found[0] if found else None


def _quantity(quantity: Json, path: str) -> Dose:
    if quantity.get("comparator") is not None:
        raise Refusal(f"{path}.comparator", "It leaves open how much is taken: the prescriber must decide.", "one value")
    value = node.number_of(quantity, "value", path)
    if value is None or not 0 < value <= _MOST or len(value.as_tuple().digits) > 12:
        raise Refusal(f"{path}.value", "This amount cannot be taken.", "a number above 0 and up to 100000")
    code = node.text_of(quantity, "code", path) or ""
    unit = (node.text_of(quantity, "unit", path) or code.strip("{}[]")).strip()
    if _PER_BODY.search(unit) or _PER_BODY.search(code):
        raise Refusal(f"{path}.unit", "A dose by body weight or surface is not an amount to take.", "the amount of one intake")
    if not unit:
        raise Refusal(f"{path}.unit", "It does not say in which unit.", "a unit such as mg or TAB")
    word = next((one for one in (unit_word(unit), unit, unit_word(code), code) if _UNIT.fullmatch(one)), None)
    if word is None:
        raise Refusal(f"{path}.unit", "This unit is too long or holds other signs.", "up to 16 letters, digits, % / and .")
    return Dose(value, unit, word if word != "ml" else "mL", path)


def _refuse_over_maximum(dosage: Json, path: str, dose: Dose | None, stated: Stated) -> None:
    if dosage.get("maxDosePerLifetime") is not None:
        raise Refusal(f"{path}.maxDosePerLifetime", "Nobody here counts over a lifetime.", "bounds, or a count")
    ratio = dosage.get("maxDosePerPeriod")
    if ratio is None or dose is None:
        return
    where = f"{path}.maxDosePerPeriod"
    most = _quantity(node.child(ratio, "numerator", where) or {}, f"{where}.numerator")
    period = node.child(ratio, "denominator", where) or {}
    days = {"h": Fraction(1, 24), "d": Fraction(1), "wk": Fraction(7)}.get(
        node.text_of(period, "code", where) or node.text_of(period, "unit", where) or ""
    )
    length = node.number_of(period, "value", f"{where}.denominator")
    if days is None or length is None or length <= 0:
        raise Refusal(f"{where}.denominator", "It does not say in which time.", "a value with code h, d or wk")
    amount, unit = dose.comparable
    # Up to a day: what a day of taking holds. Longer: the average, which is what the days of taking in it come to.
    span = days * Fraction(length)
    taken = Fraction(amount) * (stated.per_day if span <= 1 else stated.rate * span)
    if unit == most.comparable[1] and taken > Fraction(most.comparable[0]):
        raise Refusal(where, "The doses of the timing are above this maximum.", "doses up to the maximum")


def _texts(dosage: Json, path: str) -> tuple[tuple[str, str], ...]:
    """Every text of the instruction that says how to take it."""
    found = [(f"{path}.{key}", node.text_of(dosage, key, path)) for key in ("text", "patientInstruction")]
    for concept, where in node.children(dosage, "additionalInstruction", path):
        found.extend((where, word) for word in node.concept_words(concept, where))
    code = node.child(node.child(dosage, "timing", path) or {}, "code", f"{path}.timing")
    if code is not None:
        found.append((f"{path}.timing.code.text", node.text_of(code, "text", f"{path}.timing.code")))
        found.extend((f"{path}.timing.code", display) for _, _, display in node.codings(code, f"{path}.timing.code"))
    return tuple((where, text) for where, text in found if text and text.strip())
