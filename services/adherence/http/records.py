"""What a person puts on record: a follow-up's outcome, a dose's true outcome, the decision to ask for a medicine again."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Query
from sqlalchemy import select

from services.adherence.commands import followups as commands
from services.adherence.commands import outcomes, watch
from services.adherence.domain.silence import Fact
from services.adherence.http.parts import Body, Json, Reason, care_team, people_only, prescriber, slug_of, uuid_or_404
from services.adherence.storage import occurrences
from services.adherence.storage.followups import FollowUp, follow_up_of
from services.adherence.storage.records import Heard
from services.adherence.storage.tables import follow_ups
from shared.errors import DomainError
from shared.http import Caller, patient_id
from shared.runtime import Runtime


class OutcomeBody(Body):
    outcome: Literal["kept", "missed"]
    reason: Reason | None = None


class CorrectBody(Body):
    """`reason` goes into the audit; written as a slug (told-by-phone) it also stands in the record."""

    outcome: Literal["taken", "skipped", "missed"]
    reason: Reason


class ResumeBody(Body):
    reason: Reason


def shown(one: FollowUp) -> Json:
    return {
        "id": str(one.id),
        "patient": str(one.patient_id),
        "state": one.state,
        "source": one.source,
        "due_on": None if one.due_on is None else one.due_on.isoformat(),
        "deadline_at": one.deadline_at.isoformat(),
        "at": None if one.outcome_at is None else one.outcome_at.isoformat(),
        "occurrence": None if one.occurrence_id is None else str(one.occurrence_id),
    }


def routes(runtime: Runtime) -> APIRouter:
    router = APIRouter(tags=["record"])

    @router.get("/follow-ups")
    async def list_follow_ups(
        caller: Annotated[Caller, Depends(care_team)],
        state: Annotated[Literal["pending", "kept", "missed", "unrecorded", "withdrawn"] | None, Query()] = None,
        patient: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 200,
    ) -> list[Json]:
        """The clinic's follow-ups, the earliest deadline first."""
        statement = select(follow_ups).where(follow_ups.c.clinic_id == caller.clinic_id)
        if state is not None:
            statement = statement.where(follow_ups.c.state == state)
        if patient is not None:
            statement = statement.where(follow_ups.c.patient_id == patient_id(caller, patient))
        async with runtime.engine.connect() as conn:
            rows = (await conn.execute(statement.order_by(follow_ups.c.deadline_at).limit(limit))).all()
        return [shown(follow_up_of(row)) for row in rows]

    @router.post("/follow-ups/{follow_up}/outcome")
    async def record_outcome(follow_up: str, body: OutcomeBody, caller: Annotated[Caller, Depends(people_only)]) -> Json:
        """A person says whether it took place; that outranks what an appointment or the patient says, and can be said again."""
        async with runtime.unit() as unit:
            one = await commands.record(unit, caller.clinic_id, uuid_or_404(follow_up, "follow_up"), body.outcome, uuid4())
        return shown(one)

    @router.post("/medications/{medication}/resume-asking")
    async def resume_asking(medication: str, body: ResumeBody, caller: Annotated[Caller, Depends(prescriber)]) -> Json:
        """A prescriber has decided on the gap: the patient is asked about this medicine again."""
        async with runtime.unit() as unit:
            hold = await watch.resume_asking(unit, caller.clinic_id, uuid_or_404(medication, "medication"))
        return {"medication": str(hold.medication_id), "held": hold.held, "hold_version": hold.version, "rule_set": hold.rule_set}

    @router.post("/doses/{occurrence}/correct")
    async def correct(occurrence: str, body: CorrectBody, caller: Annotated[Caller, Depends(people_only)]) -> Json:
        """A person puts a dose's outcome right. It adds a revision; what was said before stays in the history."""
        identity = uuid_or_404(occurrence, "occurrence")
        async with runtime.unit() as unit:
            one = await occurrences.get(unit, identity)
            if one is None or one.clinic_id != caller.clinic_id or one.kind != "dose":
                raise DomainError("occurrence", "there is no such dose", accepted="the id of a dose of this clinic", status=404)
            await unit.lock(one.patient_id)
            correction = Fact(uuid4(), "correction", unit.now, body.outcome, slug_of(body.reason))
            await outcomes.fact(unit, Heard(one.clinic_id, one.patient_id, identity, correction))
            done = await occurrences.get(unit, identity) or one
        return {"occurrence": str(identity), "outcome": done.state, "revision": done.revision}

    return router
