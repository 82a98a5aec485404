"""Whether a resource has the shape that FHIR R4 gives it, by `fhir.resources` (docs/decisions/0010-fhir-resources.md).

Its errors become one line with the element's path. The library's own words are never shown: some of them quote the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ValidationError

from steadypath.enrol.fhir.node import Json
from steadypath.enrol.outcome import Refusal

#: What `enrol` takes. Medication is what requests refer to.
TAKEN = ("MedicationRequest", "Patient", "CareTeam", "Practitioner", "Consent", "Appointment", "Medication")
ACCEPTED = "MedicationRequest, Patient, CareTeam, Practitioner, Consent, Appointment, Medication, or a Bundle of them"
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_NAMES = re.compile(r"'([A-Za-z]+)'")


@cache
def _model(name: str) -> type[BaseModel]:
    found: type[BaseModel] = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    return found


def check(resource: Json) -> None:
    """Raises Refusal for the first element that is not as FHIR R4 has it. A request may lack its subject: that is a draft."""
    kind = str(resource["resourceType"])
    shown = resource
    if kind == "MedicationRequest" and "subject" not in resource:
        shown = {**resource, "subject": {"display": "not there"}}
    try:
        _model(kind).model_validate(shown)
    except ValidationError as error:
        raise _refusal(kind, error) from None
    except (RecursionError, ArithmeticError):
        raise Refusal(kind, "It is not a resource of FHIR R4.", f"{kind} of FHIR R4") from None


def _refusal(kind: str, error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    path = kind + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in first["loc"])
    what, accepted = str(first["type"]), f"{kind} of FHIR R4 (4.0.1)"
    if what == "extra_forbidden":
        return Refusal(path, "FHIR R4 has no such element here.", accepted)
    if what in ("missing", "model_field_validation.missing"):
        return Refusal(path, "FHIR R4 requires this element.", accepted)
    choice = _NAMES.findall(first["msg"]) if first["msg"].startswith("Value error, Any of one field") else []
    if choice:
        return Refusal(path, f"FHIR R4 has exactly one of {' and '.join(choice)} here.", "one of them")
    return Refusal(path, "This is not what FHIR R4 has here.", accepted)


def kind_of(resource: Any) -> str:
    """The resource type. Raises Refusal where the JSON is no FHIR resource, or one that is not taken."""
    if not isinstance(resource, Mapping) or not isinstance(resource.get("resourceType"), str):
        raise Refusal("resourceType", "This JSON is not a FHIR resource.", ACCEPTED)
    kind = str(resource["resourceType"])
    if kind not in TAKEN:
        raise Refusal("resourceType", "This type of resource is not taken.", ACCEPTED)
    return kind


def safe_name(resource: Any) -> str | None:
    """`Type/id` for a row, where both are what FHIR allows."""
    if not isinstance(resource, Mapping):
        return None
    kind, own = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str) or not re.fullmatch(r"[A-Z][A-Za-z]{1,40}", kind):
        return None
    return f"{kind}/{own}" if isinstance(own, str) and _ID.fullmatch(own) else kind
