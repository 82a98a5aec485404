"""JSON as it should be, and nothing else: no NaN, no duplicate keys, no absurd numbers, bounded depth; never a value in an error.

A Bundle of any size can be read an entry at a time (`stream`), and an entry read again later from where it began.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shared.defaults import default
from steadypath.enrol.outcome import Refusal

_WORST_NUMBER = 40
_SPACE = re.compile(r"[ \t\r\n]*")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _BadError("an object has the same key twice", "each key once")
    return found


def _constant(_: str) -> Any:
    raise _BadError("a number is NaN or infinite", "numbers as JSON has them")


def _number(text: str) -> Decimal | int:
    """Exactly what was written: a dose is not a binary fraction. Absurd ones would take hours to compute with."""
    value = Decimal(text) if len(text) <= _WORST_NUMBER else None
    if value is None or abs(value.adjusted()) > _WORST_NUMBER:
        raise _BadError("a number is impossibly large or exact", f"numbers of at most {_WORST_NUMBER} digits")
    return int(text) if text.lstrip("-").isdigit() else value


class _BadError(Exception):
    """Refused while decoding; the place is added by whoever knows it."""

    def __init__(self, reason: str, accepted: str) -> None:
        super().__init__(reason)
        self.reason, self.accepted = reason, accepted


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_number, parse_int=_number)


def line_of(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"


def json_value(text: str, at: int = 0, *, again: bool = False) -> tuple[Any, int]:
    """The JSON value that begins at `at` (after white space), and where it ends. Raises Refusal with the line.

    `again`: it was read before, so its depth and characters are known to be good.
    """
    begin = _skip(text, at)
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except _BadError as error:
        reason = f"The JSON is not valid: {error.reason} (at or after this line)."
        raise Refusal(line_of(text, begin), reason, error.accepted) from None
    except RecursionError:
        raise _too_deep(line_of(text, begin)) from None
    except json.JSONDecodeError as error:
        raise _broken(text, error.pos, error.msg.startswith("Unterminated")) from None
    if not again:
        _check(value, text, begin)
    return value, end


def _broken(text: str, at: int, cut: bool = False) -> Refusal:
    """Cut off, or wrong where it stands: a half word or an open string at the very end is a file that was not copied whole."""
    rest = text[at : at + 8].strip()
    if cut or not rest or (at + 8 > len(text) and any(word.startswith(rest) for word in ("true", "false", "null", "-"))):
        return Refusal(line_of(text, len(text)), "The file is cut off: the JSON does not end.", "a whole file")
    return Refusal(line_of(text, at), "This is not valid JSON.", "JSON (RFC 8259)")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def json_whole(text: str) -> Any:
    """The single JSON value of a text. Raises Refusal."""
    value, end = json_value(text)
    nothing_after(text, end)
    return value


def nothing_after(text: str, end: int) -> None:
    at = _skip(text, end)
    if at != len(text):
        raise Refusal(line_of(text, at), "There is more after the end of the JSON.", "one JSON value; many go in an .ndjson file")


def _too_deep(where: str) -> Refusal:
    limit = default("enrol", "depth_limit")
    return Refusal(where, "The data is nested too deeply.", f"at most {limit} levels")


def _check(value: Any, text: str, begin: int) -> None:
    """Depth, and characters that no database can store. Iterative: a nested bomb must not reach the interpreter's own stack."""
    limit, stack = int(default("enrol", "depth_limit")), [(value, 1)]
    while stack:
        one, depth = stack.pop()
        if isinstance(one, str):
            if not one.isprintable() and ("\x00" in one or any("\ud800" <= char <= "\udfff" for char in one)):
                raise Refusal(
                    line_of(text, begin),
                    "A text holds NUL or half a character.",
                    "text that can be stored (at or after this line)",
                )
        elif isinstance(one, dict | list):
            if depth > limit:
                raise _too_deep(line_of(text, begin))
            inner = [*one.keys(), *one.values()] if isinstance(one, dict) else one
            stack.extend((each, depth + 1) for each in inner)


@dataclass(frozen=True)
class Member:
    """A member of the outermost object, or one item of the streamed array (`index`). `begin`, `end`: where the value stands."""

    key: str
    value: Any
    begin: int
    end: int
    index: int | None = None


def stream(text: str, array: str) -> Iterator[Member]:
    """The members of the object that a text is; the items of the array called `array` one by one. Raises Refusal."""
    at, seen = _open(text, 0, "{", "}"), set[str]()
    while text[at] != "}":
        key, after = json_value(text, at)
        if not isinstance(key, str):
            raise _broken(text, at)
        if key in seen:
            raise Refusal(line_of(text, at), "The JSON is not valid: an object has the same key twice.", "each key once")
        seen.add(key)
        at = _skip(text, _expect(text, after, ":"))
        if key == array and text[at : at + 1] == "[":
            at = _open(text, at, "[", "]")
            index = 0
            while text[at] != "]":
                value, end = json_value(text, at)
                yield Member(key, value, at, end, index)
                at, index = _next(text, end, "]"), index + 1
            end = at + 1
        else:
            value, end = json_value(text, at)
            yield Member(key, value, at, end)
        at = _next(text, end, "}")
    nothing_after(text, at + 1)


def _expect(text: str, at: int, char: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != char:
        raise _broken(text, at)
    return at + 1


def _open(text: str, at: int, char: str, close: str) -> int:
    """Past the opening bracket, at the first member or at the closing bracket."""
    at = _skip(text, _expect(text, at, char))
    if at >= len(text):
        raise _broken(text, at)
    return at


def _next(text: str, at: int, close: str) -> int:
    """Past the comma at the next member, or at the closing bracket."""
    at = _skip(text, at)
    if text[at : at + 1] == close:
        return at
    at = _skip(text, _expect(text, at, ","))
    if at >= len(text) or text[at] == close:
        raise _broken(text, at)
    return at
