"""`{id}` in a URL is ours (a UUID) or the clinic's own external id; both lead to the same row."""

from __future__ import annotations

import re
from uuid import UUID

from shared.errors import DomainError
from shared.events.base import stable_id
from shared.http.commands import current
from shared.identity import Caller

_EXTERNAL = re.compile(r"[A-Za-z0-9._:@-]{1,64}")


def resolve_id(caller: Caller, kind: str, raw: str) -> UUID:
    """A UUID is itself; anything else is `stable_id(clinic, kind, raw)`. Refuses what no clinic would use as an id (422)."""
    found = _own(raw)
    if found is None:
        if not _EXTERNAL.fullmatch(raw):
            raise DomainError("id", "This is not an id.", accepted="a UUID, or 1 to 64 letters, digits and . _ : @ -")
        found = stable_id(caller.clinic_id, kind, raw)
    command = current()
    if command is not None:
        command.objects[kind] = str(found)
    return found


def _own(raw: str) -> UUID | None:
    try:
        return UUID(raw)
    except ValueError:
        return None


def patient_id(caller: Caller, raw: str) -> UUID:
    """The patient's id. Whether there is such a patient in the caller's clinic is for the query to find (404 otherwise)."""
    return resolve_id(caller, "patient", raw)


def person_id(caller: Caller, raw: str) -> UUID:
    """The id of a member of the care team."""
    return resolve_id(caller, "person", raw)
