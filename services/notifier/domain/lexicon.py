"""Lexicons: phrases kept as data (TOML beside this file), so that a clinician can read and a test can count them.

A phrase is a regular expression over plain words (see `parse.words`), with `<name>` standing for a macro of the same file.
Phrases have no unbounded gap in them: matching stays linear, whatever arrives.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from services.notifier.domain.parse import Words

_MACRO = re.compile(r"<([a-z-]+)>")


@dataclass(frozen=True)
class Phrases:
    """A set of phrases, as one expression that matches whole words only."""

    pattern: re.Pattern[str]

    def heard(self, said: Words, *, unless: Phrases | None = None) -> bool:
        """Whether any form of the text holds a phrase, once what `unless` covers has been taken out of it."""
        return any(self.pattern.search(unless.without(form) if unless else form) for form in said.forms)

    def whole(self, said: Words) -> bool:
        """Whether the text, as a whole, is one of the phrases."""
        return any(self.pattern.fullmatch(form) for form in said.forms)

    def without(self, form: str) -> str:
        return self.pattern.sub("~", form)


def compile_phrases(phrases: Iterable[str], macros: Mapping[str, str]) -> Phrases:
    """Raises KeyError for a macro that the file does not define."""
    expanded = [_expanded(phrase, macros) for phrase in phrases]
    return Phrases(re.compile(rf"(?<!\w)(?:{'|'.join(expanded) or '(?!)'})(?!\w)"))


def _expanded(phrase: str, macros: Mapping[str, str]) -> str:
    """A macro may use others, as long as none leads back to itself."""
    while _MACRO.search(phrase):
        phrase = _MACRO.sub(lambda found: f"(?:{macros[found.group(1)]})", phrase)
    return phrase


@cache
def raw(name: str) -> dict[str, Any]:
    """The TOML file of that name beside this module. It ships with the code and is read once."""
    text = resources.files("services.notifier.domain").joinpath(name).read_text("utf-8")
    return tomllib.loads(text)


def section(name: str, *path: str) -> Phrases:
    """The phrases of one table of a lexicon: all its lists (the languages) together."""
    table: Any = raw(name)
    for step in path:
        table = table[step]
    phrases = [phrase for phrases in table.values() for phrase in phrases]
    return compile_phrases(phrases, raw(name).get("macros", {}))
