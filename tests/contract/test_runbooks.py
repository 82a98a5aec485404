"""Each kind of notice has a section in the runbook, and each command in it exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.notifier.domain.gate import MATRIX
from shared.ops.kinds import RUNBOOK, WORDS, runbook
from steadypath.cli import _parser

ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs" / "operations"
TEXT = (ROOT / RUNBOOK).read_text("utf-8")
#: Kinds that are put together from why a text was withheld.
COMPOSED = "text-withheld-"


def sections() -> dict[str, str]:
    """By kind, its section's text."""
    parts = re.split(r"^### (\S+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_kind_has_a_section_and_no_section_has_no_kind() -> None:
    assert sections().keys() == WORDS.keys()
    assert all(len(text.strip()) > 20 for text in sections().values())
    assert runbook("stuck").endswith("docs/operations/incidents.md#stuck")


def said() -> Iterator[tuple[str, str]]:
    """Every kind that the code says, and where. A composed one by its prefix."""
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ops_say" and len(node.args) > 1:
                kind = node.args[1]
                if isinstance(kind, ast.Constant):
                    yield str(kind.value), path.name
                elif isinstance(kind, ast.JoinedStr) and isinstance(kind.values[0], ast.Constant):
                    yield str(kind.values[0].value), path.name


def test_every_kind_that_the_code_says_has_words() -> None:
    kinds = dict(said())
    assert len(kinds) > 15, "the code is read"
    unknown = {kind: where for kind, where in kinds.items() if kind not in WORDS and kind != COMPOSED}
    assert unknown == {}, "add to shared/ops/kinds.py and to the runbook"


def test_every_reason_of_which_ops_hears_has_words() -> None:
    """Of the gate's verdicts with `ops`: those that its source names, and the columns of the matrix that say "next"."""
    source = (ROOT / "services/notifier/domain/gate.py").read_text("utf-8")
    named = set(re.findall(r'Verdict\("withhold", "([a-z-]+)", ops=', source))
    assert named, "the gate's source is read"
    columns = {column for row in MATRIX.values() for column, cell in row.items() if cell == "next"}
    assert columns
    assert {f"{COMPOSED}{why}" for why in named | columns | {"fuse"}} <= WORDS.keys()


@pytest.mark.parametrize("page", sorted(path.name for path in OPERATIONS.glob("*.md")))
def test_the_command_lines_in_a_runbook_are_taken(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (OPERATIONS / page).read_text("utf-8")
    for line in re.findall(r"^\s+(?:sp|bin/steadypath) ([a-z][^#\n|;&$]*)", text, flags=re.MULTILINE):
        given = [_filled(word.strip('"')) for word in re.findall(r'"[^"]*"|\S+', line)]
        assert _taken(given), f"{page}: {line.strip()}: {capsys.readouterr().err}"


def _taken(arguments: list[str]) -> bool:
    try:
        _parser().parse_args(arguments)
    except SystemExit:
        return False
    return True


def _filled(word: str) -> str:
    places = {"SERVICE": "notifier", "EVENT_ID": "11111111-1111-1111-1111-111111111111"}
    return places.get(word, word)


@pytest.mark.parametrize("page", sorted(path.name for path in OPERATIONS.glob("*.md")))
def test_what_a_runbook_points_to_is_there(page: str) -> None:
    text = (OPERATIONS / page).read_text("utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        if target.startswith("http"):
            continue
        found = (OPERATIONS / target) if target else OPERATIONS / page
        assert found.exists(), f"{page} points to {target}"
        if anchor:
            slugs = {_slug(title) for title in re.findall(r"^#+ (.+)$", found.read_text("utf-8"), flags=re.MULTILINE)}
            assert anchor in slugs, f"{page} points to {target}#{anchor}"


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
