"""`GET /notifier/messages`: every text of a patient, what it was for, what became of it and why. No number, no body."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.notifier.domain.message import MessageKind, MessageState
from services.notifier.storage import messages
from services.notifier.storage.messages import Message
from shared.http import Caller, patient_id, requires
from shared.service import Runtime

_READERS = requires("prescriber", "therapist", "coordinator", "ops", "service")


class MessageOut(BaseModel):
    """`at`: when its sending began, else when it came to what it is; clinical, UTC. `cause` is the name of the event that
    caused the text ("dose-due") and `cause_id` its id. `patient`: whom it is about; `person`: the member of the care team it was
    for, null for the patient."""

    id: UUID
    at: datetime
    kind: MessageKind
    status: MessageState
    cause: str
    cause_id: UUID
    provider_sid: str | None
    why: str | None
    occurrence: UUID | None
    alert: UUID | None
    patient: UUID | None
    person: UUID | None
    not_before: datetime
    useful_until: datetime


def _out(text: Message, sid: str | None, began: datetime | None) -> MessageOut:
    return MessageOut(
        id=text.id,
        at=began or text.changed_at,
        kind=text.kind,
        status=text.state,
        cause=text.cause_type,
        cause_id=text.cause_id,
        provider_sid=sid,
        why=text.why or text.waits_for,
        occurrence=text.occurrence_id,
        alert=text.alert_id,
        patient=text.patient_id,
        person=text.person_id,
        not_before=text.not_before,
        useful_until=text.useful_until,
    )


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["messages"])

    @routes.get("/messages", summary="Texts of a patient (ours or the clinic's id), oldest first")
    async def of_patient(
        caller: Annotated[Caller, Depends(_READERS)],
        patient: Annotated[str, Query(max_length=64)],
        limit: Annotated[int, Query(ge=1, le=2000)] = 500,
        before: Annotated[
            UUID | None, Query(description="The oldest text of the page before: for those who came earlier.")
        ] = None,
    ) -> list[MessageOut]:
        async with runtime.unit() as unit:
            whose = patient_id(caller, patient)
            found = await messages.listed(unit, caller.clinic_id, patient_id=whose, before=before, limit=limit)
        return [_out(*each) for each in found]

    @routes.get("/messages/by-sid/{sid}", summary="The text of a provider's SID")
    async def of_sid(caller: Annotated[Caller, Depends(_READERS)], sid: str) -> MessageOut:
        async with runtime.unit() as unit:
            found = await messages.listed(unit, caller.clinic_id, sid=sid)
        if not found:
            raise HTTPException(404)
        return _out(*found[0])

    return routes
