"""What the HTTP surface answers. Names and codes of medicines go back to the clinic that put them, and nowhere else."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from services.scheduler.domain import timing
from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.plan import Plan
from services.scheduler.storage import definition
from services.scheduler.storage.plans import Names


class CommandAnswer(BaseModel):
    """What a command did. It holds at the last gate once `effective_when_confirmed` answers confirmed."""

    patient: UUID
    plan: UUID
    outcome: Literal["started", "changed", "unchanged", "valid"]
    status: str
    plan_version: int
    #: The events said, the last one under `plan_version`.
    events: list[str] = []
    #: Where to ask whether the notifier has heard of this version.
    effective_when_confirmed: str | None = None
    #: What must be known before a text can go.
    missing: list[str] = []


class ClinicAnswer(BaseModel):
    clinic: UUID
    zone: str | None
    routine: dict[str, str]
    numbers: dict[str, Any]


class Effective(BaseModel):
    """Whether a version has reached the service that sends."""

    version: int
    said_at: datetime
    event: str
    published: bool
    confirmed: bool
    group: str


class PlanAnswer(BaseModel):
    """The plan as it stands. `plan` is its definition with our ids, `names` what the clinic calls them."""

    patient: UUID
    plan_version: int
    status: str
    zone: str | None
    starts_on: date
    plan: dict[str, Any]
    names: dict[str, str]
    medicines: dict[str, dict[str, str | None]]
    #: Medicines that nobody is asked to take until a prescriber has decided.
    held: list[str]


class PreviewItem(BaseModel):
    """One occurrence to come. `night`: a dose from 21:00 (included) to 08:00 (excluded), texted because the plan says so."""

    occurrence: UUID
    kind: str
    at: str
    local_date: date
    local_time: str
    zone: str
    night: bool
    shifted_by_clock_change: bool
    useful_until: str
    detail: dict[str, Any]


class Preview(BaseModel):
    patient: UUID
    plan_version: int
    zone: str | None
    days: int
    occurrences: list[PreviewItem]


def command(patient: UUID, plan_id: UUID, plan: Plan, outcome: str, events: tuple[str, ...]) -> CommandAnswer:
    where = f"/scheduler/patients/{patient}/effective?version={plan.version}" if plan.version else None
    return CommandAnswer.model_validate(
        {
            "patient": patient,
            "plan": plan_id,
            "outcome": outcome,
            "status": plan.status,
            "plan_version": plan.version,
            "events": list(events),
            "effective_when_confirmed": where,
            "missing": [] if plan.zone else ["zone"],
        }
    )


def whole(plan: Plan, names: Names, held: frozenset[str]) -> PlanAnswer:
    return PlanAnswer(
        patient=plan.patient_id,
        plan_version=plan.version,
        status=plan.status,
        zone=plan.zone,
        starts_on=plan.starts_on,
        plan=definition.to_json(plan),
        names=dict(names.elements),
        medicines={medicine: dict(called) for medicine, called in names.medicines.items()},
        held=sorted(held),
    )


def preview_item(one: Occurrence, zone: str) -> PreviewItem:
    local = timing.local(one.due_at, zone)
    at = f"{local:%H:%M}"
    stated = one.detail.get("slot_time")
    return PreviewItem(
        occurrence=one.id,
        kind=one.kind,
        at=local.isoformat(),
        local_date=one.local_date,
        local_time=at,
        zone=zone,
        night=one.kind == "dose-due" and (at >= "21:00" or at < "08:00"),
        shifted_by_clock_change=stated is not None and stated != at,
        useful_until=timing.local(one.useful_until, zone).isoformat(),
        detail=dict(one.detail),
    )
