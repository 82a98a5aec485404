"""Who is calling: API keys that belong to a clinic and bear roles. Only a key's SHA-256 is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

KeyRole = Literal["prescriber", "therapist", "coordinator", "ops", "service"]
ROLES: tuple[KeyRole, ...] = ("prescriber", "therapist", "coordinator", "ops", "service")


@dataclass(frozen=True)
class Caller:
    """The bearer of the key of this request. Every query takes `clinic_id`: a clinic sees only its own rows."""

    clinic_id: UUID
    key_id: UUID
    roles: frozenset[str]
    #: The key's label, as it stands in the audit; never a person's name.
    name: str
    #: The care-team member whose key it is, where it was registered for one.
    person_id: UUID | None = None
