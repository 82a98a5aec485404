"""Every kind of alert is told in fixed words, on the board and in a clinician's text (DESIGN.md rule 5): never by its slug."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from services.adherence import board
from services.notifier.domain import templates
from shared.events.adherence import AlertKind

KINDS = get_args(AlertKind)


def on_the_board() -> dict[str, str]:
    script = Path(board.__file__).with_name("board.js").read_text("utf-8")
    table = script.split("const KINDS = {", 1)[1].split("};", 1)[0]
    return dict(re.findall(r'"([a-z-]+)": "([^"]+)"', table))


@pytest.mark.parametrize("kind", KINDS)
def test_the_board_has_words_for_it(kind: str) -> None:
    assert on_the_board()[kind] != kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_words_for_it(kind: str) -> None:
    words = templates.load().words["alert"]
    assert all(kind in words[language] for language in ("en", "es"))
