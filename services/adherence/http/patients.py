"""One patient as adherence sees them: the timeline, and a summary with adherence as a range."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlalchemy import func, select

from services.adherence.domain.measure import adherence
from services.adherence.domain.rules import DoseOnRecord
from services.adherence.http.parts import Json, care_team
from services.adherence.storage import occurrences, people, timeline
from services.adherence.storage.tables import alerts, follow_ups
from services.adherence.storage.tables import occurrences as occurrence_rows
from shared.defaults import default
from shared.errors import DomainError
from shared.http import Caller, patient_id
from shared.messaging.unit import Unit
from shared.runtime import Runtime


def _counts(doses: list[DoseOnRecord]) -> Json:
    states = Counter(dose.state for dose in doses)
    why = Counter(str(dose.why) for dose in doses if dose.state == "unknown")
    measured = adherence(dose.state for dose in doses)
    return {
        "expected": measured.expected,
        "taken": states["taken"],
        "skipped": states["skipped"],
        "missed": states["missed"],
        "unknown": dict(sorted(why.items())),
        "low": round(measured.low, 4),
        "high": round(measured.high, 4),
    }


async def _summary(unit: Unit, clinic_id: UUID, identity: UUID) -> Json:
    patient = await people.known_or_new(unit, clinic_id, identity)
    if not (patient.plan_version or patient.contact_version or patient.chain):
        raise DomainError("patient", "nothing is known of this patient", accepted="an id of a patient of this clinic", status=404)
    days = default("adherence", "measure_days")
    since = unit.now - timedelta(days=days)
    check_ins = await unit.conn.execute(
        select(occurrence_rows.c.state, func.count())
        .where(occurrence_rows.c.patient_id == identity, occurrence_rows.c.kind == "check-in", occurrence_rows.c.due_at >= since)
        .group_by(occurrence_rows.c.state)
    )
    counted = {str(state): int(count) for state, count in check_ins}
    open_alerts = select(func.count()).where(alerts.c.patient_id == identity, alerts.c.state == "open")
    unrecorded = select(func.count()).where(follow_ups.c.patient_id == identity, follow_ups.c.state == "unrecorded")
    return {
        "patient": str(identity),
        "days": days,
        "doses": _counts((await occurrences.doses_since(unit, [identity], since))[identity]),
        "check_ins": {state: counted.get(state, 0) for state in ("answered", "missed", "unasked")},
        "open_alerts": (await unit.conn.execute(open_alerts)).scalar_one(),
        "unrecorded_follow_ups": (await unit.conn.execute(unrecorded)).scalar_one(),
        "asking_held": [str(medication) for medication in await people.holds_of(unit, identity)],
    }


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["patients"])

    @router.get("/patients/{patient}/timeline")
    async def get_timeline(patient: str, caller: Annotated[Caller, Depends(care_team)]) -> list[Json]:
        """All events about the patient that adherence saw or said, in order; `cause` is what made each happen."""
        identity = patient_id(caller, patient)
        async with runtime.engine.connect() as conn:
            found = await timeline.of_patient(conn, caller.clinic_id, identity)
        return [{**event, "at": event["at"].isoformat()} for event in found]

    @router.get("/patients/{patient}/summary")
    async def get_summary(patient: str, caller: Annotated[Caller, Depends(care_team)]) -> Json:
        """Adherence over 28 days as a range: `low` counts every unknown as not taken, `high` as taken. Self-report."""
        async with runtime.unit() as unit:
            return await _summary(unit, caller.clinic_id, patient_id(caller, patient))

    return router
