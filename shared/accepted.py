"""A refused body in words for the caller: which element, in the caller's own terms, and what would be taken; never the value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")
_MOST_ERRORS = 20


class Fault(BaseModel):
    """One element that was not accepted."""

    element: str
    accepted: str


def faults_of(error: RequestValidationError) -> list[Fault]:
    """What was not accepted, in the caller's terms; at least one."""
    return [_fault(each) for each in error.errors()[:_MOST_ERRORS]]


def _fault(error: Mapping[str, Any]) -> Fault:
    """A body that is no JSON, or was not sent as JSON, is the body's fault: a place in it would mean nothing to the caller."""
    if error["type"] == "json_invalid" or tuple(error["loc"]) == ("body",):
        return Fault(element="body", accepted=_WHOLE_BODY)
    return Fault(element=element_of(error["loc"]), accepted=accepted_of(error))


def element_of(location: Sequence[str | int]) -> str:
    """`("body", "medicines", 0, "steps")` as `medicines[0].steps`. A part that does not look like a field name shows as *."""
    parts = location[1:] if location and location[0] in ("body", "path", "query", "header") else location
    named = [f"[{part}]" if isinstance(part, int) else f".{part if _NAME.fullmatch(part) else '*'}" for part in parts]
    return "".join(named).lstrip(".") or "body"


_WHOLE_BODY = "a JSON object, sent with Content-Type: application/json"
#: What a kind of value is called to a person, by the first word of pydantic's error type.
_KINDS = {
    "missing": "a value: this field is required",
    "extra": "no such field here",
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "decimal": "a decimal number, as text or number",
    "bool": "true or false",
    "date": "a date such as 2026-12-07",
    "datetime": "an instant with offset such as 2026-12-07T10:00:00-05:00",
    "timezone": "an instant with offset such as 2026-12-07T10:00:00-05:00",
    "time": "a local time such as 08:00",
    "uuid": "a UUID",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "json": "a JSON document",
}
_LIMITS = {
    "gt": "greater than {}",
    "ge": "at least {}",
    "lt": "less than {}",
    "le": "at most {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "multiple_of": "a multiple of {}",
    "pattern": "text that matches {}",
    "expected": "{}",
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
}


def accepted_of(error: Mapping[str, Any]) -> str:
    """What would be taken, from the kind of the error and the limits of the model; pydantic's own text may quote the input."""
    context = error.get("ctx") or {}
    limits = [words.format(context[name]) for name, words in _LIMITS.items() if name in context]
    if limits:
        return ", ".join(limits)
    kind = str(error["type"])
    return _KINDS.get(kind.split("_", 1)[0], "what the OpenAPI document says of this element")
