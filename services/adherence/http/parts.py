"""What the routes share: roles, bodies, and reading without a transaction that waits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from shared.defaults import duration
from shared.errors import DomainError
from shared.http import requires

#: Who treats or looks after patients, and programs that act for them; ops does not read about patients.
care_team = requires("prescriber", "therapist", "coordinator", "service")
#: Who may say what happened: a person, not a program.
people_only = requires("prescriber", "therapist", "coordinator")
prescriber = requires("prescriber")
set_up = requires("prescriber", "coordinator", "service")

_LONGEST = timedelta(days=7)


def _wait(text: str) -> str:
    try:
        fits = timedelta(minutes=1) <= duration(text) <= _LONGEST
    except (ValueError, OverflowError):
        fits = False
    if not fits:
        accepted = "an ISO 8601 duration from PT1M to P7D, such as PT30M"
        raise PydanticCustomError("wait", "a wait is needed", {"expected": accepted})
    return text


#: ISO 8601 duration from a minute to a week.
Wait = Annotated[str, AfterValidator(_wait)]
#: A reason as a slug where it becomes part of the record; the audit keeps the sentence sealed.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class Body(BaseModel):
    """A request body: unknown fields are refused, and no error quotes a value."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


def slug_of(reason: str) -> str | None:
    """The reason where it is a slug already; free text has no place in the record (the audit keeps it, sealed)."""
    return reason if re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", reason) else None


def uuid_or_404(raw: str, element: str) -> UUID:
    """Our own id from a URL. DomainError 404 where it cannot be one: then there is nothing such."""
    try:
        return UUID(raw)
    except ValueError:
        raise DomainError(element, "there is nothing with this id", accepted="an id that this API gave", status=404) from None


Json = dict[str, Any]
