"""Hears risk wording in any text: suicide, self-harm, overdose, harm to others, abuse, or a plain call for help.

Prefers a false alarm to silence (the policy stands at the head of lexicon_risk.toml): "not suicidal" is heard too. It never
judges how great the risk is; that is a person's work. Crisis lines are data with their sources (crisis_lines.toml).
"""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

from services.notifier.domain.lexicon import Phrases, raw, section
from services.notifier.domain.parse import Words

Category = Literal["suicide", "overdose", "self-harm", "harm-to-others", "abuse", "unspecified"]
LEXICON = "lexicon_risk.toml"
#: In this order: the first category that is heard names the text.
CATEGORIES: tuple[Category, ...] = get_args(Category)


@cache
def _idioms() -> Phrases:
    return section(LEXICON, "idioms")


@cache
def _phrases(category: Category) -> Phrases:
    return section(LEXICON, category)


def hear(said: Words) -> Category | None:
    """The category of risk wording in a text, or None. Idioms are taken out first, so what stands beside them is still heard."""
    for category in CATEGORIES:
        if _phrases(category).heard(said, unless=_idioms()):
            return category
    return None


def risk_in_answer(instrument: str, item: str, score: int) -> Category | None:
    """A number that is risk wording by itself: PHQ-9 item 9 above "not at all" (same-day human review; clinical.md 5)."""
    return "suicide" if instrument.startswith("phq-9") and item in {"9", "item-9", "phq-9-9"} and score > 0 else None


def crisis_line(country: str, language: str) -> str:
    """The crisis line of a country (ISO 3166-1 alpha-2) as a text says it; where we know none, the international finder."""
    lines = raw("crisis_lines.toml")
    of_country = lines["country"].get(country.upper(), lines["elsewhere"])
    line: str = of_country.get(language, of_country["en"])["text"]
    return line
