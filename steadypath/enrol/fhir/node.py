"""Reading single elements of a FHIR resource's JSON: each with its path, strictly typed, refused by name and never by value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from steadypath.enrol.outcome import Refusal

Json = dict[str, Any]
_DATE_TIME = re.compile(r"(\d{4})(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


def text_of(node: Mapping[str, Any], key: str, path: str) -> str | None:
    """A text element; None where it is absent."""
    value = node.get(key)
    if value is not None and not isinstance(value, str):
        raise Refusal(f"{path}.{key}", "This is not a text.", "a JSON string")
    return value


def number_of(node: Mapping[str, Any], key: str, path: str) -> Decimal | None:
    """A number as written; texts and true/false are none."""
    value = node.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Refusal(f"{path}.{key}", "This is not a number.", "a JSON number")
    number = Decimal(str(value))
    if not number.is_finite():
        raise Refusal(f"{path}.{key}", "This is not a number.", "a JSON number")
    return number


def positive_int(node: Mapping[str, Any], key: str, path: str, most: int = 10_000) -> int | None:
    """A whole number from 1 on."""
    number = number_of(node, key, path)
    if number is None:
        return None
    if number != number.to_integral_value() or not 1 <= number <= most:
        raise Refusal(f"{path}.{key}", "This number cannot be.", f"a whole number from 1 to {most}")
    return int(number)


def flag(node: Mapping[str, Any], key: str, path: str) -> bool | None:
    value = node.get(key)
    if value is not None and not isinstance(value, bool):
        raise Refusal(f"{path}.{key}", "This is neither true nor false.", "true or false")
    return value


def child(node: Mapping[str, Any], key: str, path: str) -> Json | None:
    value = node.get(key)
    if value is not None and not isinstance(value, dict):
        raise Refusal(f"{path}.{key}", "This is not an element with parts of its own.", "a JSON object")
    return value


def children(node: Mapping[str, Any], key: str, path: str) -> list[tuple[Json, str]]:
    """The parts of a list element, each with its path."""
    value = node.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or any(not isinstance(one, dict) for one in value):
        raise Refusal(f"{path}.{key}", "This is not a list of elements.", "a JSON array of objects")
    return [(one, f"{path}.{key}[{number}]") for number, one in enumerate(value)]


def texts(node: Mapping[str, Any], key: str, path: str) -> tuple[str, ...]:
    value = node.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or any(not isinstance(one, str) for one in value):
        raise Refusal(f"{path}.{key}", "This is not a list of texts.", "a JSON array of strings")
    return tuple(value)


def whole_date(node: Mapping[str, Any], key: str, path: str) -> tuple[date, str | None] | None:
    """The local date of a date or dateTime, and its time as "HH:MM" where it has one. A year or month alone is no day.

    The date is the one written: whoever wrote an offset wrote their own wall clock.
    """
    value = text_of(node, key, path)
    if value is None:
        return None
    found = _DATE_TIME.fullmatch(value)
    if not found or not found[3]:
        raise Refusal(f"{path}.{key}", "This is not a whole day.", "a date such as 2026-12-01, or a dateTime")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Refusal(f"{path}.{key}", "There is no such day.", "a date that is in the calendar") from None
    return moment.date(), f"{moment:%H:%M}" if found[4] else None


def codings(concept: Json | None, path: str) -> list[tuple[str | None, str | None, str | None]]:
    """(system, code, display) of a CodeableConcept."""
    if concept is None:
        return []
    return [
        (text_of(one, "system", where), text_of(one, "code", where), text_of(one, "display", where))
        for one, where in children(concept, "coding", path)
    ]


def concept_words(concept: Json | None, path: str) -> list[str]:
    """Everything that a CodeableConcept says in words or codes."""
    if concept is None:
        return []
    words = [part for coding in codings(concept, path) for part in coding[1:] if part]
    text = text_of(concept, "text", path)
    return [*words, text] if text else words


def refuse_modifiers(node: Any, path: str) -> None:
    """An unknown modifier changes the meaning of what it stands on: nobody may read past it (FHIR R4, 2.4.1)."""
    for element in _modified(node, path):
        raise Refusal(
            element, "This changes the meaning of its element in a way that is not known here.", "no modifier extension"
        )


def _modified(node: Any, path: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("modifierExtension", "implicitRules"):
                yield f"{path}.{key}"
            elif key not in ("contained", "text"):
                yield from _modified(value, f"{path}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _modified(value, f"{path}[{number}]")
