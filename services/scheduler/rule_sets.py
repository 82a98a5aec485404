"""From a medicine's code to the names of the rule sets that watch it (data/rule_sets.toml, each with its source)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_FILE = Path(__file__).parent / "data" / "rule_sets.toml"
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class Coded:
    """What the clinic called a medicine. Held in memory and sealed in the database, nowhere else."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


@cache
def _data() -> Mapping[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = tomllib.loads(_FILE.read_text("utf-8"))
    return found


def _is(entry: Mapping[str, Any], medicine: Coded) -> bool:
    if medicine.code == entry["code"] and medicine.system in (None, RXNORM):
        return True
    return not set(_WORD.findall((medicine.display or "").lower())).isdisjoint(entry["names"])


def _effect(beside: Iterable[Coded]) -> str | None:
    effects = {entry["effect"] for one in beside for entry in _data()["modifier"] if _is(entry, one)}
    return "both" if len(effects) == 2 else next(iter(effects), None)


def rule_sets_for(medicine: Coded, beside: Iterable[Coded]) -> tuple[str, ...]:
    """The rule sets of a medicine, given the patient's other medicines; sorted."""
    effect, found = _effect(beside), set[str]()
    for entry in _data()["medicine"]:
        if _is(entry, medicine):
            special = entry.get("beside", {}).get(effect)
            found.update([special] if special else entry["rule_sets"])
    return tuple(sorted(found))


def all_rule_sets() -> frozenset[str]:
    """Every name that may be said: adherence must know each."""
    return frozenset(name for entry in _data()["medicine"] for name in (*entry["rule_sets"], *entry.get("beside", {}).values()))
