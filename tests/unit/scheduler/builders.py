"""Plans for tests, made of the domain's own parts: small, with every number at hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from services.scheduler.domain.identity import stable_id
from services.scheduler.domain.occurrence import Rules
from services.scheduler.domain.plan import Dose, Medicine, MedicineKind, Plan, Slot, Step
from services.scheduler.domain.validation import Limits

PATIENT = UUID("11111111-1111-4111-8111-111111111111")
NEW_YORK = "America/New_York"
RULES = Rules(
    dose_useful=timedelta(minutes=60),
    dose_answer=timedelta(hours=12),
    check_in_useful=timedelta(hours=18),
    education_useful=timedelta(days=2),
    overdue_at=time(9),
    overdue_useful=timedelta(days=30),
    monitoring_at=time(10),
    appointment_reminder_days=1,
    monitoring_result_lead=timedelta(days=7),
    catch_up_after=timedelta(minutes=60),
)
LIMITS = Limits(dose_texts_a_day=6, shortest_answer=timedelta(hours=1), longest_answer=timedelta(days=7))
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def wall(*parts: int) -> datetime:
    """Local wall time, without a zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type,misc]


def dose(slot: str = "morning", quantity: str = "1", **more: object) -> Dose:
    return Dose(slot, Decimal(quantity), "tablet", **more)  # type: ignore[arg-type]


def medicine(name: str = "m1", *steps: Step, kind: MedicineKind = "steady", **more: object) -> Medicine:
    return Medicine(stable_id(name), steps or (Step(date(2026, 11, 1), (dose(),)),), kind, **more)  # type: ignore[arg-type]


def plan(*medicines: Medicine, zone: str | None = NEW_YORK, slots: dict[str, str] | None = None, **more: object) -> Plan:
    times = slots or {"morning": "08:00", "evening": "20:00"}
    base = Plan(PATIENT, date(2026, 11, 1), LONG_AGO, zone, version=1, medicines=medicines or (medicine(),))
    laid = tuple(Slot(name, time.fromisoformat(at)) for name, at in times.items())
    return replace(base, slots=laid, **more)  # type: ignore[arg-type]
