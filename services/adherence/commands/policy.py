"""Fills the domain's policy from the clinic's zone and numbers: its own, else the defaults file's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import time
from typing import Any, cast, get_args

from services.adherence.domain.policy import AlertPolicy, Severity
from services.adherence.storage.people import Clinic
from shared import own_numbers
from shared.errors import DomainError
from shared.events.adherence import AlertKind

SECTION = "adherence"
_OPENS, _CLOSES = "low_from", "low_until"


def _severity_of(kind: str) -> str:
    return f"severity_{kind.replace('-', '_')}"


#: How loud a kind is, is the clinic's to say; but a crisis is a crisis, and nothing else is (DESIGN.md rule 6).
_WORDS: Mapping[str, Collection[str]] = {_severity_of(kind): ("low", "high") for kind in get_args(AlertKind) if kind != "crisis"}
#: What a clinic may set for itself.
OWN = (_OPENS, _CLOSES, "default_wait", *_WORDS)


def check_own(numbers: Mapping[str, Any]) -> None:
    """Refuses (DomainError 422) what is not a clinic's to set, or cannot be."""
    own_numbers.check(SECTION, numbers, OWN, _WORDS)
    if own_numbers.own(SECTION, _OPENS, numbers) >= own_numbers.own(SECTION, _CLOSES, numbers):
        raise DomainError(f"numbers.{_CLOSES}", "The clinic would close before it opens.", accepted="a time after low_from")


def policy_for(clinic: Clinic) -> AlertPolicy:
    """The clinic's alert policy."""

    def number(name: str) -> Any:
        return own_numbers.own(SECTION, name, clinic.numbers)

    return AlertPolicy(
        severities={kind: cast("Severity", number(_severity_of(kind))) for kind in get_args(AlertKind)},
        zone=clinic.zone,
        low_from=time.fromisoformat(number(_OPENS)),
        low_until=time.fromisoformat(number(_CLOSES)),
        crisis_wait=number("crisis_wait"),
        pauses={severity: tuple(number(f"pauses_{severity}")) for severity in get_args(Severity)},
    )
