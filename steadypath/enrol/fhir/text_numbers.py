"""Numbers and units of time as prescribers write them: "one and a half", "1/2", "ten", "hrs"."""

from __future__ import annotations

import re
from decimal import Decimal

_WORDS = {
    "a": 1, "an": 1, "one": 1, "once": 1, "two": 2, "twice": 2, "three": 3, "thrice": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "fourteen": 14, "fifteen": 15, "twenty": 20,
    "thirty": 30, "sixty": 60, "ninety": 90,
}  # fmt: skip
#: One number, in figures or as a word.
NUMBER = r"(?:(?<![\d.,/])\d{1,7}(?:[.,]\d{1,6})?|\b(?:" + "|".join(sorted(_WORDS, key=len, reverse=True)) + r")\b)"
#: One number, or two with a dash, "to" or "or" between them, as groups `low` and `high`.
RANGE = rf"(?P<low>{NUMBER})(?:\s*(?:-|to|or)\s*(?P<high>{NUMBER}))?"
_UNITS = {
    "min": "min",
    "hour": "h",
    "hr": "h",
    "h": "h",
    "day": "d",
    "d": "d",
    "week": "wk",
    "wk": "wk",
    "month": "mo",
    "mo": "mo",
}
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}


def plain(text: str) -> str:
    """The text in small letters, single spaces, one kind of dash, and with fractions and halves as decimals."""
    said = text.lower()
    for sign, digits in _FRACTIONS.items():
        said = said.replace(sign, f" {digits} ")
    said = re.sub(r"[‐‑‒–—−]", "-", said)
    said = re.sub(r"(?<=\d),(?=\d{3}\b)", "", said)
    said = re.sub(r"\s+", " ", said).strip()
    said = re.sub(r"\b(\d|one|two|three|four) (?:and )?([123])/([234])(?![\d/])", _mixed, said)
    said = re.sub(r"(?<![\d/])([123])/([234])(?![\d/])", _fraction, said)
    said = re.sub(r"\b(\d|one|two|three|four) and (?:a |one[- ])half\b", lambda one: f"{number_of(one[1])}.5", said)
    said = re.sub(r"\b(?:one[- ]|a )?half(?: of)?(?: an?| one)?\b", "0.5", said)
    return re.sub(r"\b(\w+) \((\w+)\)", _doubled, said)


def _mixed(found: re.Match[str]) -> str:
    return _written(number_of(found[1]) + Decimal(found[2]) / Decimal(found[3]))


def _fraction(found: re.Match[str]) -> str:
    return _written(Decimal(found[1]) / Decimal(found[2]))


def _written(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.01')).normalize():f}"


def _doubled(found: re.Match[str]) -> str:
    """ "one (1) tablet", "2 (two) times": the same number said twice is said once; two different ones stay as they are."""
    said = [_WORDS.get(one) or (int(one) if one.isdigit() and one.isascii() else None) for one in (found[1], found[2])]
    return str(said[0]) if said[0] is not None and said[0] == said[1] else found[0]


def number_of(word: str) -> Decimal:
    """The number that a word or figure stands for."""
    return Decimal(_WORDS[word]) if word in _WORDS else Decimal(word.replace(",", "."))


def unit_of(word: str) -> str:
    """FHIR's unit of time for a word: "hrs" is "h"."""
    return _UNITS.get(word) or _UNITS[{"minute": "min", "minutes": "min"}.get(word, word.rstrip("s"))]
