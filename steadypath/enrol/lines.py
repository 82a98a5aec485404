"""On which line of a file an element stands, found only when somebody must be told: YAML and JSON alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

_PARTS = re.compile(r"[^.\[\]]+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Lines:
    """The lines of one file's lists. `begins`: list -> the line (from 1) on which each of its items begins."""

    def __init__(self, text: str) -> None:
        self._rows = text.split("\n")
        try:
            self.begins = _items(text)
        except yaml.YAMLError:
            self.begins = {}  # JSON that is no YAML (tabs): the item is named all the same

    def of(self, group: str, index: int, element: str) -> int | None:
        """The line of `element` ("plan.medicines[0].steps") in an item, as near as can be told."""
        begins = self.begins.get(group, [])
        if index >= len(begins):
            return None
        first = begins[index]
        last = begins[index + 1] - 1 if index + 1 < len(begins) else len(self._rows)
        return first + _within("\n".join(self._rows[first - 1 : last]), _PARTS.findall(element))


def _items(text: str) -> dict[str, list[int]]:
    """Where the items of the outermost mapping's lists begin, from the parser's events: nothing is constructed."""
    found: dict[str, list[int]] = {}
    depth, key, is_key = 0, "", True
    for event in yaml.parse(text, Loader=_LOADER):
        if depth == 2 and key and isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            found.setdefault(key, []).append(_line(event.start_mark) + 1)
        if depth == 1 and isinstance(event, yaml.ScalarEvent):
            key, is_key = (event.value, False) if is_key else ("", True)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            if depth == 1:
                key, is_key = "", True
    return found


def _line(mark: Any) -> int:
    return int(mark.line)


def _within(text: str, path: Sequence[str]) -> int:
    """Lines below the first of a list item cut out of its file."""
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return 0  # written in one flow with its neighbours: the item's own line must do
    if isinstance(node, yaml.SequenceNode) and node.value:
        node = node.value[0]
    line = 0
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        at, node = found
        line = _line(at.start_mark)
    return line


def _child(node: yaml.Node | None, part: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The node that a person would look for (a mapping's key, a list's item) and the value to go on in."""
    if isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
        return node.value[int(part)], node.value[int(part)]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    return None
