"""No field of an event has room for a name, a sentence or a medicine: each text is a closed list, an id's form, or named here."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, StringConstraints

from shared.events.base import AlertCode, Contract, DedupKey, Event, Slug, Unit, WallTime, Zone
from shared.events.registry import EVENTS

#: The only forms of text there are, with why none of them can hold what a person wrote.
FORMS = {
    Slug: "lower-case words joined by hyphens, chosen by our code and data, never by a person",
    WallTime: "HH:MM",
    Zone: "the form of an IANA name",
    Unit: "a unit of quantity: 16 characters without spaces; the scheduler takes it from the plan's closed list",
    AlertCode: "two letters and two digits",
    DedupKey: "a kind and our own ids",
}
PLAIN = (UUID, int, float, bool, Decimal, datetime, date, AwareDatetime, type(None))


def leaves(annotation: Any) -> Iterator[Any]:
    """Every type that a value of the annotation may have, models opened."""
    if typing.get_origin(annotation) is Annotated and annotation not in FORMS:
        yield from leaves(typing.get_args(annotation)[0])
    elif typing.get_origin(annotation) in (Literal, None) or annotation in FORMS:
        yield annotation
    else:
        for part in typing.get_args(annotation):
            if part is not Ellipsis:
                yield from leaves(part)


def faults(model: type[BaseModel], seen: set[type] | None = None) -> list[str]:
    seen = seen if seen is not None else set()
    found: list[str] = []
    if model in seen:
        return found
    seen.add(model)
    for name, annotation in typing.get_type_hints(model, include_extras=True).items():
        if typing.get_origin(annotation) is typing.ClassVar or name == "model_config":
            continue
        for leaf in leaves(annotation):
            if isinstance(leaf, type) and issubclass(leaf, Contract):
                found += faults(leaf, seen)
            elif not (leaf in PLAIN or leaf in FORMS or typing.get_origin(leaf) is Literal):
                found.append(f"{model.__name__}.{name}: {leaf}")
    return found


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_no_field_can_hold_free_text(name: str) -> None:
    assert faults(EVENTS[name]) == []


def test_every_form_refuses_a_sentence_and_a_phone_number() -> None:
    for form in FORMS:
        [constraint] = [each for each in typing.get_args(form) if isinstance(each, StringConstraints)]
        model = type("Probe", (Contract,), {"__annotations__": {"value": form}})
        assert constraint.pattern is not None
        for text in ("Zyx took two", "+15550001234", "", "line\nbreak", "name@example.org", "x" * 300):
            with pytest.raises(ValueError, match="pattern"):
                model(value=text)


class Leaky(Event):
    note: str


class LeakyInside(Event):
    parts: tuple[Leaky, ...]
    words: dict[str, int] | None
    kind: Annotated[str, StringConstraints(max_length=9)]


def test_the_search_finds_what_it_is_for() -> None:
    assert len(faults(Leaky)) == 1
    assert len(faults(LeakyInside)) == 3
