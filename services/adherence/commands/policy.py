"""Fills the domain's policy from the defaults file and the clinic's zone."""

from __future__ import annotations

from datetime import time
from typing import cast, get_args

from services.adherence.domain.policy import AlertPolicy, Severity
from shared.defaults import default
from shared.events.adherence import AlertKind

SECTION = "adherence"


def policy_for(zone: str) -> AlertPolicy:
    """The house's numbers with the clinic's zone."""
    return AlertPolicy(
        severities={
            kind: cast("Severity", default(SECTION, f"severity_{kind.replace('-', '_')}")) for kind in get_args(AlertKind)
        },
        zone=zone,
        low_from=time.fromisoformat(default(SECTION, "low_from")),
        low_until=time.fromisoformat(default(SECTION, "low_until")),
        crisis_wait=default(SECTION, "crisis_wait"),
        pauses={severity: tuple(default(SECTION, f"pauses_{severity}")) for severity in get_args(Severity)},
    )
