"""What a check-in may ask (data/questions.toml). A question without wording would be withheld, every time."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from services.scheduler.domain.errors import Refused

_FILE = Path(__file__).parent / "data" / "questions.toml"


@cache
def questions() -> Mapping[str, tuple[str, ...]]:
    """Instrument -> its items."""
    return {instrument: tuple(items) for instrument, items in tomllib.loads(_FILE.read_text("utf-8")).items()}


def check(instrument: str, item: str, element: str) -> None:
    """Raises Refused where nobody could ask that; `element` is where the caller finds the check-in."""
    items = questions().get(instrument)
    if items is None:
        raise Refused(f"{element}.instrument", "there is no wording for this instrument", accepted=", ".join(questions()))
    if item not in items:
        raise Refused(f"{element}.item", "there is no wording for this item", accepted=", ".join(items))
