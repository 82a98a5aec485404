"""How much one intake is, as a dosage text says it: "1-2 tablets", "two 25 mg tablets", "0.5 tablet", "10 units"."""

from __future__ import annotations

import re
from collections import defaultdict
from decimal import Decimal

from steadypath.enrol.fhir.text_numbers import NUMBER, RANGE, number_of

_FORMS = r"tablets?|tabs?|caplets?|capsules?|caps?|pills?|patch(?:es)?|lozenges?|supposito(?:ry|ries)|films?|sachets?|packets?"
_MEASURES = (
    r"units?|iu|puffs?|sprays?|drops?|teaspoons?|tsp|tablespoons?|tbsp|mg|milligrams?|mcg|micrograms?|ug|µg|μg|grams?|g|ml|"
    r"milliliters?|millilitres?|meq|doses?"
)
_AMOUNT = re.compile(rf"{RANGE}\s*-?\s*(?P<unit>{_FORMS}|{_MEASURES}|u)\b(?!\s*/)(?P<form>\s*(?:oral )?(?:{_FORMS}))?")
_OF_STRENGTH = re.compile(
    rf"(?P<count>{NUMBER})\s+(?:x\s+|of the\s+|of\s+)?(?P<size>{NUMBER})\s*-?\s*(?P<unit>mg|mcg|g|ug|µg|meq)\s*(?:oral )?"
    rf"(?P<form>{_FORMS})\b"
)
_EACH = re.compile(rf"\(\s*{NUMBER}\s*(?:mg|mcg|g|ug|µg)\s*(?:each|per \w+|strength)?\s*\)")
_WORDS = {
    "tab": "tablet", "caplet": "tablet", "pill": "tablet", "cap": "capsule", "patche": "patch", "suppositorie": "suppository",
    "iu": "unit", "u": "unit", "milligram": "mg", "microgram": "mcg", "ug": "mcg", "µg": "mcg", "μg": "mcg", "gram": "g",
    "milliliter": "ml", "millilitre": "ml", "tsp": "teaspoon", "tbsp": "tablespoon",
}  # fmt: skip
_IN_MG = {"g": Decimal(1000), "mcg": Decimal("0.001")}

Amounts = dict[str, frozenset[tuple[Decimal, Decimal]]]


def unit_word(unit: str) -> str:
    """A unit's one name: "tabs" and "TAB" are "tablet", "U" is "unit"."""
    small = unit.lower().replace("(s)", "").strip("{}[] ")
    singular = small[:-1] if small.endswith("s") and small != "ms" and len(small) > 1 else small
    return _WORDS.get(singular, _WORDS.get(small, singular))


def canonical(value: Decimal, unit: str) -> tuple[Decimal, str]:
    """Masses in mg, everything else by its unit's one name: what can be compared at all."""
    word = unit_word(unit)
    return (value * _IN_MG[word], "mg") if word in _IN_MG else (value, word)


def amounts(said: str) -> Amounts:
    """Every amount in a text in plain form (text_numbers.plain), by unit. The strength of a tablet is none."""
    found: defaultdict[str, set[tuple[Decimal, Decimal]]] = defaultdict(set)
    for one in _OF_STRENGTH.finditer(said):
        count, size = number_of(one["count"]), number_of(one["size"])
        for value, unit in ((count, one["form"]), (count * size, one["unit"])):
            amount, word = canonical(value, unit)
            found[word].add((amount, amount))
    rest = _EACH.sub(" ", _OF_STRENGTH.sub(" ", said))
    for one in _AMOUNT.finditer(rest):
        if one["form"] and unit_word(one["unit"]) in ("mg", "mcg", "g", "meq"):
            continue
        low, word = canonical(number_of(one["low"]), one["unit"])
        high, _ = canonical(number_of(one["high"] or one["low"]), one["unit"])
        found[word].add((low, high))
    return {unit: frozenset(values) for unit, values in found.items()}
