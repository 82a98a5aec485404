"""The HTTP edge that all services share: keys, problem+json, Idempotency-Key, audit, the parked desk, health."""

from __future__ import annotations

from shared.http.ids import patient_id, person_id, resolve_id
from shared.http.security import requires
from shared.identity import Caller

__all__ = ["Caller", "patient_id", "person_id", "requires", "resolve_id"]
