"""YAML as plain data: no aliases (bombs), no tags, no second document, no duplicate keys, bounded depth.

Scalars are read as YAML 1.2's core schema has them: `no` is text, `08:00` is text and not a number in base 60, dates stay text.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from shared.defaults import default
from steadypath.enrol.outcome import Refusal

PLAIN = "plain YAML: mappings, lists, texts and numbers, written out"
_LONGEST_NUMBER = 40


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C parser where libyaml is there; scalars by our own rules."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own attribute


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:null", r"(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+$", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def _mapping(loader: Any, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool | type(None)):
            raise Refusal(_line(key_node.start_mark), "A key is not a word.", PLAIN)
        if key in found:
            raise Refusal(_line(key_node.start_mark), "A mapping has the same key twice.", "each key once")
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _integer(loader: Any, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    if len(text) > _LONGEST_NUMBER:
        raise Refusal(_line(node.start_mark), "A number is impossibly large.", f"at most {_LONGEST_NUMBER} digits")
    return int(text)


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_scalar(node))
    if not math.isfinite(value):
        raise Refusal(_line(node.start_mark), "A number is impossibly large.", f"at most {_LONGEST_NUMBER} digits")
    return value


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def _line(mark: Any) -> str:
    return f"line {mark.line + 1}"


def yaml_whole(text: str) -> Any:
    """The one document of a text. Raises Refusal with the line."""
    limit = int(default("enrol", "yaml_limit"))
    if len(text) > limit:
        raise Refusal(None, "The YAML file is too large.", f"at most {limit // 2**20} MiB of YAML; JSON may be larger")
    try:
        _bounded(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader with fewer scalars
    except yaml.MarkedYAMLError as error:
        where = _line(error.problem_mark) if error.problem_mark else None
        raise Refusal(where, "This is not valid YAML.", PLAIN) from None
    except yaml.YAMLError:
        raise Refusal(None, "This is not valid YAML: it holds a character that YAML has not.", PLAIN) from None


def _bounded(text: str) -> None:
    """What would be dangerous or ambiguous to construct, seen on the events, which come without recursion."""
    limit, depth, documents = int(default("enrol", "depth_limit")), 0, 0
    for event in yaml.parse(text, Loader=_Loader):
        where = _line(event.start_mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Refusal(where, "Aliases and anchors are not taken.", PLAIN)
        if getattr(event, "tag", None):
            raise Refusal(where, "Tags are not taken.", PLAIN)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Refusal(where, "There is a second document in the file.", "one document a file")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > limit:
                raise Refusal(where, "The data is nested too deeply.", f"at most {limit} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
