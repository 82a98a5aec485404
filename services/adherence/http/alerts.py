"""Alerts over HTTP: the list that the board shows, and what a person does about one."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from services.adherence.commands import alerts as commands
from services.adherence.domain.alerts import Alert
from services.adherence.http.parts import Body, Json, Reason, care_team, people_only, uuid_or_404
from services.adherence.storage.alerts import alert_of
from services.adherence.storage.tables import alerts
from shared.http import Caller, patient_id
from shared.runtime import Runtime


class AlertBody(Body):
    """`via`: where the person did it. `reason` goes into the audit."""

    reason: Reason | None = None
    via: Literal["board", "api"] = "api"


def shown(alert: Alert, patient: str | None = None) -> Json:
    """An alert as the API shows it: no name, no cause in words; the kind says what it is about."""
    found = {
        "id": str(alert.id),
        "code": alert.code,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "recipient": None if alert.recipient is None else str(alert.recipient),
        "step": alert.step,
        "raised_at": alert.raised_at.isoformat(),
        "deadline_at": None if alert.deadline_at is None else alert.deadline_at.isoformat(),
        "occurrence": None if alert.occurrence_id is None else str(alert.occurrence_id),
        "no_text_possible": alert.no_text_possible,
        "version": alert.version,
    }
    return found if patient is None else found | {"patient": patient}


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["alerts"])

    @router.get("/alerts")
    async def list_alerts(
        caller: Annotated[Caller, Depends(care_team)],
        state: Annotated[Literal["open", "acknowledged", "resolved"] | None, Query()] = None,
        patient: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 200,
    ) -> list[Json]:
        """The clinic's alerts, newest first; crisis and high ones before low ones."""
        statement = select(alerts).where(alerts.c.clinic_id == caller.clinic_id)
        if state is not None:
            statement = statement.where(alerts.c.state == state)
        if patient is not None:
            statement = statement.where(alerts.c.patient_id == patient_id(caller, patient))
        async with runtime.engine.connect() as conn:
            rows = (await conn.execute(statement.order_by(alerts.c.raised_at.desc()).limit(limit))).all()
        order = {"crisis": 0, "high": 1, "low": 2}
        return [shown(alert_of(row), str(row.patient_id)) for row in sorted(rows, key=lambda row: order[row.severity])]

    @router.post("/alerts/{alert}/acknowledge")
    async def acknowledge(alert: str, caller: Annotated[Caller, Depends(people_only)], body: AlertBody | None = None) -> Json:
        """Stops all pages about it for good."""
        async with runtime.unit() as unit:
            by = caller.person_id or caller.key_id
            how = body.via if body is not None else "api"
            found = await commands.acknowledge(unit, uuid_or_404(alert, "alert"), by=by, how=how, clinic_id=caller.clinic_id)
        return shown(found)

    @router.post("/alerts/{alert}/resolve")
    async def resolve(alert: str, caller: Annotated[Caller, Depends(people_only)], body: AlertBody | None = None) -> Json:
        """Ends it: what it told of has been dealt with."""
        async with runtime.unit() as unit:
            by = caller.person_id or caller.key_id
            how = body.via if body is not None else "api"
            found = await commands.resolve(unit, uuid_or_404(alert, "alert"), by=by, how=how, clinic_id=caller.clinic_id)
        return shown(found)

    return router
