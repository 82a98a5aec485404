"""Looking: the plan, what it will ask and when, and whether a version has reached the notifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.scheduler import answers, effective, numbers
from services.scheduler.answers import Effective, PlanAnswer, Preview
from services.scheduler.domain import expansion
from services.scheduler.http.common import Looker
from services.scheduler.storage import clinics, plans
from services.scheduler.storage.plans import Stored
from shared.errors import DomainError
from shared.http import Caller, patient_id
from shared.runtime import Runtime

Days = Annotated[int, Query(ge=1, le=366)]
WhichVersion = Annotated[int, Query(ge=1)]


def add(routes: APIRouter, runtime: Runtime) -> None:
    @routes.get("/patients/{patient}/plan")
    async def get_plan(patient: str, caller: Looker) -> PlanAnswer:
        row = await _row(runtime, caller, patient_id(caller, patient))
        return answers.whole(row.plan, plans.open_names(row, runtime.cipher), row.held)

    @routes.get("/patients/{patient}/preview")
    async def preview(patient: str, caller: Looker, days: Days = 14) -> Preview:
        """Every occurrence from now on for so many days, with its local time; doses from 21:00 (included) to 08:00 (excluded)
        are marked, because they are texted at night."""
        row = await _row(runtime, caller, patient_id(caller, patient))
        async with runtime.engine.connect() as conn:
            clinic = (await clinics.load(conn, [caller.clinic_id]))[caller.clinic_id]
        now, plan = runtime.clock.now(), row.plan
        found = expansion.occurrences(plan, now, now + timedelta(days=days), numbers.rules(clinic.numbers))
        items = [answers.preview_item(one, plan.zone) for one in found if plan.zone]
        return Preview(patient=plan.patient_id, plan_version=plan.version, zone=plan.zone, days=days, occurrences=items)

    @routes.get("/patients/{patient}/effective")
    async def is_effective(patient: str, caller: Looker, version: WhichVersion) -> Effective:
        """Whether the notifier's consumer group has committed past the event of this version."""
        row = await _row(runtime, caller, patient_id(caller, patient))
        async with runtime.engine.connect() as conn:
            said = await plans.version_of(conn, row.plan.patient_id, version)
            if said is None:
                raise DomainError(
                    "version", "The plan has no such version.", accepted="a version up to the plan's own", status=404
                )
            reach = await effective.reach(conn, said.event_id)
        return Effective(
            version=version,
            said_at=said.at,
            event=said.event_type,
            published=reach.published,
            confirmed=reach.confirmed,
            group=effective.GROUP,
        )


async def _row(runtime: Runtime, caller: Caller, patient: UUID) -> Stored:
    async with runtime.engine.connect() as conn:
        row = (await plans.load(conn, [patient])).get(patient)
    if row is None or row.clinic_id != caller.clinic_id:
        raise DomainError("id", "This patient has no plan.", accepted="a patient of this clinic with a plan", status=404)
    return row
