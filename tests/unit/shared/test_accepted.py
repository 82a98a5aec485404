"""What a caller is told of a refused body: the element in their own terms, and what would be taken; never the value."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.accepted import faults_of


class Step(BaseModel):
    model_config = ConfigDict(extra="forbid")
    day: int = Field(ge=1)
    on: date | None = None


class Plan(BaseModel):
    steps: list[Step]


def said(body: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        Plan.model_validate(body)
    errors = [{**each, "loc": ("body", *each["loc"])} for each in refused.value.errors()]
    return [(fault.element, fault.accepted) for fault in faults_of(RequestValidationError(errors))]


@pytest.mark.parametrize(
    ("body", "element", "accepted"),
    [
        ({"steps": [{"day": 0}]}, "steps[0].day", "at least 1"),
        ({"steps": [{"day": 1, "on": "soon"}]}, "steps[0].on", "a date such as 2026-12-07"),
        ({"steps": [{"day": 1, "dya": 2}]}, "steps[0].dya", "no such field here"),
        ({"steps": [{"day": 1, "Anna Bell": 2}]}, "steps[0].*", "no such field here"),
        ({}, "steps", "a value: this field is required"),
        ([], "body", "a JSON object, sent with Content-Type: application/json"),
    ],
    ids=str,
)
def test_names_the_element_and_what_it_takes(body: Any, element: str, accepted: str) -> None:
    assert said(body) == [(element, accepted)]


def test_what_is_no_json_is_the_bodys_fault_wherever_it_breaks_off() -> None:
    broken = {
        "type": "json_invalid",
        "loc": ("body", 8),
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": "Expecting value"},
    }
    (fault,) = faults_of(RequestValidationError([broken]))
    assert (fault.element, fault.accepted) == ("body", "a JSON object, sent with Content-Type: application/json")


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(said({"steps": [{"day": 0}, {"day": "x"}]})) == 2
