"""What a Patient and a Practitioner have in common: a name, a phone that takes texts, a language, whether they are in use."""

from __future__ import annotations

from datetime import date

from services.notifier import numbers
from shared.errors import DomainError
from steadypath.enrol.fhir import node
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.outcome import Refusal

_NAME_USES = ("usual", "official", "nickname", None, "anonymous", "temp")
_LONGEST = 120


def in_use(element: Json, path: str, today: date) -> bool:
    """Whether a name, number or address is not an old one."""
    if element.get("use") == "old":
        return False
    period = node.child(element, "period", path) or {}
    end = node.text_of(period, "end", f"{path}.period")
    return end is None or end[:10] >= today.isoformat()[: len(end[:10])]


def name_of(resource: Json, kind: str, today: date) -> str | None:
    """The name that the person goes by."""
    names = [(one, where) for one, where in node.children(resource, "name", kind) if in_use(one, where, today)]
    for use in _NAME_USES:
        for one, where in names:
            if node.text_of(one, "use", where) == use:
                parts = [*node.texts(one, "given", where), node.text_of(one, "family", where) or ""]
                said = (node.text_of(one, "text", where) or " ".join(parts)).strip()
                if said:
                    return said[:_LONGEST]
    return None


def phone_of(resource: Json, kind: str, country: str, today: date) -> str | None:
    """The number that takes texts: a mobile phone, or what FHIR calls sms; by rank. E.164. Refused where it can be no number."""
    found: list[tuple[int, str, str]] = []
    for one, where in node.children(resource, "telecom", kind):
        system, use, value = (node.text_of(one, key, where) for key in ("system", "use", "value"))
        texts = system == "sms" or (system == "phone" and use == "mobile")
        if texts and value and in_use(one, where, today):
            found.append((int(node.number_of(one, "rank", where) or 1_000_000), f"{where}.value", value))
    if not found:
        return None
    _, element, value = min(found, key=lambda one: one[0])
    try:
        return numbers.e164(value, country=country, element=element)
    except DomainError as error:
        raise Refusal(element, error.reason, error.accepted) from None


def language_of(resource: Json, kind: str) -> str | None:
    """The first language of theirs that texts can be written in; None leaves it to the clinic."""
    spoken: list[tuple[bool, str]] = []
    for one, where in node.children(resource, "communication", kind):
        concept = node.child(one, "language", where) if kind == "Patient" else one
        preferred = bool(node.flag(one, "preferred", where)) if kind == "Patient" else False
        spoken.extend((not preferred, code[:2].lower()) for _, code, _ in node.codings(concept, where) if code)
    return next((code for _, code in sorted(spoken, key=lambda one: one[0]) if code in ("en", "es")), None)


def refuse_inactive(resource: Json, kind: str) -> None:
    node.refuse_modifiers(resource, kind)
    if node.flag(resource, "active", kind) is False:
        raise Refusal(f"{kind}.active", "This record is not in use.", "true, or left out")
