"""Keeps a medicine's name out of the words that travel: slot names, lessons and reasons stand in events (DESIGN.md rule 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.scheduler.domain.errors import Refused
from services.scheduler.domain.plan import Plan
from services.scheduler.storage.plans import Names

_WORD = re.compile(r"[a-z]{5,}")
#: Words of a product's name that say nothing of what it is.
_PLAIN = frozenset(
    {
        "tablet", "tablets", "capsule", "capsules", "solution", "suspension", "extended", "release", "delayed", "immediate",
        "chewable", "disintegrating", "orally", "patch", "liquid", "drops", "injection", "morning", "evening", "night", "bedtime",
        "afternoon", "breakfast", "lunch", "dinner", "daily", "weekly", "twice", "coated", "sodium", "oral", "hydrochloride",
    }
)  # fmt: skip


def check(plan: Plan, names: Names) -> None:
    """Refuses a word of ours-to-send that holds a medicine's name."""
    words = {word for one in names.medicines.values() for word in _WORD.findall((one.get("display") or "").lower())} - _PLAIN
    if not words:
        return
    for element, said in _travelling(plan):
        if any(word in said for word in words):
            raise Refused(
                element, "this word travels and would name a medicine", accepted="a name that says when or why, not what"
            )


def _travelling(plan: Plan) -> Iterable[tuple[str, str]]:
    yield from ((f"slots.{one.id}", one.id) for one in plan.slots)
    yield from ((f"education[{number}].lesson", one.lesson) for number, one in enumerate(plan.education))
    yield from ((f"reviews[{number}].reason", one.reason) for number, one in enumerate(plan.reviews))
    yield from ((f"check_ins[{number}].item", one.item) for number, one in enumerate(plan.check_ins))
    yield from ((f"medicines[{number}].rule_sets", " ".join(one.rule_sets)) for number, one in enumerate(plan.medicines))
