"""Whether a schema may take the place of another under the same event version: whatever was valid before must stay readable.

No field removed, no type narrowed, no new required field. Anything else is a new version (`dose-due.v2`) beside the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
_UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems")
_LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems")


def breaks(old: Schema, new: Schema) -> list[str]:
    """What the new schema would refuse or forget of what the old one allowed, one line each; empty where it may replace it."""
    return list(_compare(old, new, _Roots(old, new), "", frozenset()))


class _Roots:
    """Both documents, to follow `$ref` in."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def old(self, schema: Schema) -> Schema:
        return _followed(self._old, schema)

    def new(self, schema: Schema) -> Schema:
        return _followed(self._new, schema)


def _followed(root: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _compare(old: Schema, new: Schema, roots: _Roots, where: str, seen: frozenset[str]) -> Iterator[str]:
    pair = f"{old.get('$ref')} {new.get('$ref')}"
    if "$ref" in old and pair in seen:
        return  # a type that contains itself: compared already
    seen |= {pair}
    old, new = roots.old(old), roots.new(new)
    if "anyOf" in old or "anyOf" in new:
        yield from _compare_choices(old, new, roots, where, seen)
        return
    yield from _narrowed(old, new, where)
    yield from _compare_fields(old, new, roots, where, seen)
    if "items" in old and isinstance(old["items"], Mapping) and "items" in new:
        yield from _compare(old["items"], new["items"], roots, f"{where}[]", seen)


def _compare_choices(old: Schema, new: Schema, roots: _Roots, where: str, seen: frozenset[str]) -> Iterator[str]:
    """Every alternative of before must still fit one of now."""
    alternatives = new.get("anyOf", [new])
    for choice in old.get("anyOf", [old]):
        found = [list(_compare(choice, each, roots, where, seen)) for each in alternatives]
        if all(found):
            yield min(found, key=len)[0] if len(found) == 1 else f"{where or 'event'}: a value that was allowed no longer is"


def _narrowed(old: Schema, new: Schema, where: str) -> Iterator[str]:
    name = where or "event"
    if _types(new) and not (_types(old) and _types(old) <= _types(new)):
        yield f"{name}: type was {_words(_types(old))}, would be {_words(_types(new))}"
    allowed_before, allowed_now = _values(old), _values(new)
    if allowed_now is not None and (allowed_before is None or not allowed_before <= allowed_now):
        yield f"{name}: values that were allowed no longer are"
    for keyword in ("pattern", "format", "multipleOf"):
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"{name}: {keyword} would be tighter"
    for keyword in _UPPER:
        if keyword in new and new[keyword] < old.get(keyword, float("inf")):
            yield f"{name}: {keyword} would be lower"
    for keyword in _LOWER:
        if keyword in new and new[keyword] > old.get(keyword, float("-inf")):
            yield f"{name}: {keyword} would be higher"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{name}: unknown fields would be refused"


def _compare_fields(old: Schema, new: Schema, roots: _Roots, where: str, seen: frozenset[str]) -> Iterator[str]:
    before, now = old.get("properties", {}), new.get("properties", {})
    prefix = f"{where}." if where else ""
    for field in sorted(before.keys() - now.keys()):
        yield f"{prefix}{field}: the field would be removed"
    for field in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{prefix}{field}: the field would be newly required"
    for field in sorted(before.keys() & now.keys()):
        yield from _compare(before[field], now[field], roots, f"{prefix}{field}", seen)


def _types(schema: Schema) -> frozenset[str]:
    said = schema.get("type")
    found = frozenset([said]) if isinstance(said, str) else frozenset(said or ())
    # Every integer is a number: integer -> number is wider.
    return found | {"integer"} if "number" in found else found


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset([repr(schema["const"])])
    return frozenset(map(repr, schema["enum"])) if "enum" in schema else None


def _words(types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) or "anything"
