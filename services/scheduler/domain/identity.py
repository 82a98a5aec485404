"""Ids that the same parts always have, so that a restart, a clock change or a new plan version cannot make a second one.

The domain may import nothing but the standard library; `tests/unit/scheduler/test_identity.py` holds this to the shared rule.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID, uuid5

#: Namespace of every deterministic id in Steadypath; the same as in shared/events/base.py.
NAMESPACE = UUID("6f1c6a3e-3b1e-5d0b-9a52-8f4f0c7a9d11")


def stable_id(*parts: object) -> UUID:
    """uuid5 of the parts joined by '/'."""
    return uuid5(NAMESPACE, "/".join(str(part) for part in parts))


def plan_id(patient_id: UUID) -> UUID:
    """One plan per patient."""
    return stable_id(patient_id, "plan")


def dose_series(patient_id: UUID) -> UUID:
    """All medicines of one slot are one occurrence, hence one series for all doses of a patient."""
    return stable_id(patient_id, "doses")


def element_id(patient_id: UUID, kind: str, external: str) -> UUID:
    """A follow-up, check-in, appointment, monitoring, education or review of a plan; it is also that element's series."""
    return stable_id(patient_id, kind, external)


def occurrence_id(patient_id: UUID, series_id: UUID, slot_id: str, local_date: date) -> UUID:
    """DESIGN.md rule 8: patient, series, slot and *local date*; neither the time of day nor the version is part of it."""
    return stable_id(patient_id, series_id, slot_id, local_date.isoformat())
