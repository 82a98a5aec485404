"""One moment of a plan on one local date, and the house's numbers for how long it is of use.

What an occurrence says beside its times stands in `detail`, JSON-ready, under the field names of its event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

Kind = Literal[
    "dose-due",
    "check-in-due",
    "follow-up-due",
    "follow-up-overdue",
    "appointment-reminder-due",
    "monitoring-due",
    "education-due",
    "review-due",
]

#: Never dropped for being late: a person must hear of them whenever the system is back (domain.md 8, reliability.md R3).
NEVER_DROPPED: frozenset[str] = frozenset({"follow-up-due", "follow-up-overdue", "monitoring-due", "review-due"})


@dataclass(frozen=True)
class Rules:
    """House numbers, each with its source in shared/defaults.toml [scheduler]; a clinic may have its own."""

    dose_useful: timedelta
    dose_answer: timedelta
    check_in_useful: timedelta
    education_useful: timedelta
    overdue_at: time
    overdue_useful: timedelta
    monitoring_at: time
    appointment_reminder_days: int
    monitoring_result_lead: timedelta
    catch_up_after: timedelta


@dataclass(frozen=True)
class Occurrence:
    """All instants are UTC. A text about it may begin until `useful_until`; an answer until `answer_until` is not late."""

    id: UUID
    kind: Kind
    series_id: UUID
    slot_id: str
    local_date: date
    due_at: datetime
    useful_until: datetime
    answer_until: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sort_key(self) -> tuple[datetime, str, UUID]:
        return self.due_at, self.kind, self.id
