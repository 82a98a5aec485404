"""On which line of a file an element stands, found only when somebody must be told: YAML and JSON alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_PARTS = re.compile(r"[^.\[\]]+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class _Span:
    """Where an item stands: its first line (from 0) and column, and what part of the text it is."""

    line: int
    column: int
    begin: int
    end: int


class Lines:
    """The lines of one file's lists."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._items = _items(text)
        except yaml.YAMLError:
            self._items = {}  # JSON that is no YAML (tabs): the item is named all the same

    def of(self, group: str, index: int, element: str) -> int | None:
        """The line of `element` ("plan.medicines[0].steps") in an item, as near as can be told."""
        spans = self._items.get(group, [])
        if index >= len(spans):
            return None
        span = spans[index]
        alone = " " * span.column + self._text[span.begin : span.end]
        return span.line + 1 + _within(alone, _PARTS.findall(element))


def _items(text: str) -> dict[str, list[_Span]]:
    """The items of the outermost mapping's lists, from the parser's events: nothing is constructed."""
    found: dict[str, list[_Span]] = {}
    depth, key, is_key = 0, "", True
    start: Any = None
    for event in yaml.parse(text, Loader=_LOADER):
        is_end = isinstance(event, yaml.CollectionEndEvent)
        depth -= is_end
        if depth == 2 and key and isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            start = event.start_mark
        if depth == 2 and key and isinstance(event, yaml.ScalarEvent | yaml.CollectionEndEvent):
            end: Any = event.end_mark
            found.setdefault(key, []).append(_Span(start.line, start.column, start.index, end.index))
        if depth == 1 and isinstance(event, yaml.ScalarEvent) and is_key:
            key, is_key = event.value, False
        elif depth == 1 and isinstance(event, yaml.ScalarEvent | yaml.CollectionEndEvent):
            key, is_key = "", True
        depth += isinstance(event, yaml.CollectionStartEvent)
    return found


def _line(mark: Any) -> int:
    return int(mark.line)


def _within(text: str, path: Sequence[str]) -> int:
    """Lines below the first of a list item cut out of its file."""
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        return 0  # cannot be read alone: the item's own line must do
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
