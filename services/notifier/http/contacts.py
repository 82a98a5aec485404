"""Contacts over HTTP: patients and care team, consent, labels of medicines, and what staff do about a patient's texts.

Names, numbers and texts go in and out here and nowhere else; errors name the element, never the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from services.notifier import enrolment, under_way
from services.notifier.http.bodies import (
    ContactLine,
    LabelBody,
    Outcome,
    PatientBody,
    PatientView,
    PersonBody,
    PersonView,
    ReasonBody,
    ReplyView,
)
from services.notifier.storage import clinics, contact_rows, heard, wishes
from services.notifier.storage.contact_rows import Contact
from shared.errors import DomainError
from shared.events.base import stable_id
from shared.events.messages import ContactSuspendedV1
from shared.http import Caller, patient_id, person_id, requires
from shared.identity import KeyRole
from shared.messaging.unit import Unit
from shared.runtime import Runtime

STAFF: tuple[KeyRole, ...] = ("prescriber", "therapist", "coordinator", "service")
CLINICIANS: tuple[KeyRole, ...] = ("prescriber", "therapist", "coordinator")
Staff = Annotated[Caller, Depends(requires(*STAFF))]
Clinician = Annotated[Caller, Depends(requires(*CLINICIANS))]
Ops = Annotated[Caller, Depends(requires("service", "ops"))]


async def _of(unit: Unit, caller: Caller, contact_id: UUID, role: str) -> Contact:
    """The contact in the caller's clinic, under its lock. Raises DomainError (404)."""
    await unit.lock(contact_id)
    known = await contact_rows.one(unit, contact_id, caller.clinic_id)
    if known is None or known.role != role:
        raise DomainError("id", "There is no such contact in this clinic.", accepted="a contact that has been put", status=404)
    return known


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["contacts"])
    _put(runtime, routes)
    _texts(runtime, routes)
    _read(runtime, routes)
    return routes


def _put(runtime: Runtime, routes: APIRouter) -> None:
    @routes.put("/patients/{patient}", summary="Put a patient's contact, preferences and consent")
    async def put_patient(patient: str, body: PatientBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            return await enrolment.put_one_patient(unit, caller.clinic_id, patient_id(caller, patient), body)

    @routes.put("/people/{person}", summary="Put a member of the care team")
    async def put_person(person: str, body: PersonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            return await enrolment.put_one_person(unit, caller.clinic_id, person_id(caller, person), body)

    @routes.put("/medications/{medication_id}/label", summary="Put what a medicine is called in a patient's texts")
    async def put_label(medication_id: str, body: LabelBody, caller: Staff) -> Outcome:
        of_patient = patient_id(caller, body.patient)
        ours = medication_id_of(caller, body.patient, medication_id)
        async with runtime.unit() as unit:
            await unit.lock(of_patient)
            changed = await clinics.put_label(unit, caller.clinic_id, of_patient, ours, body.text)
        return Outcome(id=ours, outcome="changed" if changed else "unchanged")

    @routes.delete("/medications/{medication_id}/label", summary="Take a medicine's label away: its texts are neutral")
    async def delete_label(medication_id: UUID, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            owner = await clinics.label_owner(unit, medication_id)
            if owner is None or owner[0] != caller.clinic_id:
                raise DomainError("medication_id", "There is no such label in this clinic.", status=404)
            await unit.lock(owner[1])
            await clinics.put_label(unit, caller.clinic_id, owner[1], medication_id, None)
        return Outcome(id=medication_id, outcome="changed")

    @routes.delete("/patients/{patient}", summary="Forget a patient's name, number, consent and labels; no text goes any more")
    async def delete_patient(patient: str, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await enrolment.forget(unit, known)

    @routes.delete("/people/{person}", summary="Take a member of the care team out of use")
    async def delete_person(person: str, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, person_id(caller, person), "care-team")
            return await enrolment.forget(unit, known)


def medication_id_of(caller: Caller, patient: str, raw: str) -> UUID:
    """A medicine's id: ours, or `stable_id(clinic, "medication", patient's external id, the clinic's own)`."""
    try:
        return UUID(raw)
    except ValueError:
        return stable_id(caller.clinic_id, "medication", patient, raw)


def _texts(runtime: Runtime, routes: APIRouter) -> None:
    """What staff do about a patient's texts. Each is audited with its author and reason."""

    async def did(unit: Unit, known: Contact, event: UUID | None) -> Outcome:
        now = await contact_rows.needed(unit, known.id)
        return Outcome(id=known.id, outcome="changed" if event else "unchanged", contact_version=now.version)

    @routes.post("/patients/{patient}/opt-out", summary="The patient has told staff that they want no texts")
    async def opt_out(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        """Answered once no text to the patient is under way, as a STOP is (at most 12 s)."""
        arrived = monotonic()
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            done = await did(unit, known, await wishes.opt_out(unit, known.id, "staff"))
        await under_way.drain(runtime, [known.id], arrived)
        return done

    @routes.post("/patients/{patient}/opt-in", summary="The patient has told staff that they want the texts again")
    async def opt_in(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await did(unit, known, await wishes.opt_in(unit, known.id, "staff"))

    @routes.post("/patients/{patient}/pause-texts", summary="Pause a patient's texts, not the plan")
    async def pause_texts(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await did(unit, known, await wishes.pause(unit, known.id, "by-staff", body.until))

    @routes.post("/patients/{patient}/resume-texts", summary="End any pause of a patient's texts, one for a crisis included")
    async def resume_texts(patient: str, body: ReasonBody, caller: Clinician) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await did(unit, known, await wishes.resume(unit, known.id, of_crisis=True))

    @routes.post("/patients/{patient}/suspend", summary="Take a patient's number out of use")
    async def suspend(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            if known.suspended:
                return await did(unit, known, None)
            now = await contact_rows.change(unit, known.id, suspended=True)
            return await did(unit, known, contact_rows.say(unit, ContactSuspendedV1, now, reason="by-staff"))

    @routes.post("/patients/{patient}/reinstate", summary="Bring a patient's number that was taken out of use back")
    async def reinstate(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            return await enrolment.reinstate(unit, await _of(unit, caller, patient_id(caller, patient), "patient"))

    @routes.post("/patients/{patient}/number-suspect", summary="The number may not be the patient's any more")
    async def suspect(patient: str, body: ReasonBody, caller: Staff) -> Outcome:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await did(unit, known, await wishes.mark_suspect(unit, known.id, "staff"))


def _read(runtime: Runtime, routes: APIRouter) -> None:
    @routes.get("/patients/{patient}", summary="A patient's contact")
    async def get_patient(patient: str, caller: Staff) -> PatientView:
        async with runtime.unit() as unit:
            known = await _of(unit, caller, patient_id(caller, patient), "patient")
            return await enrolment.patient_view(unit, known)

    @routes.get("/people/{person}", summary="A member of the care team")
    async def get_person(person: str, caller: Staff) -> PersonView:
        async with runtime.unit() as unit:
            return enrolment.person_view(unit, await _of(unit, caller, person_id(caller, person), "care-team"))

    @routes.get("/contacts", summary="Numbers, roles and labels of everybody, for the phone page")
    async def contacts(caller: Ops) -> Sequence[ContactLine]:
        async with runtime.unit() as unit:
            return await enrolment.lines(unit, caller.clinic_id)

    @routes.get("/replies", summary="Texts that came in, latest first, in the sender's own words")
    async def replies(
        caller: Clinician, patient: str | None = None, unread: Annotated[bool, Query(description="Only unread ones")] = False
    ) -> Sequence[ReplyView]:
        of_patient = None if patient is None else patient_id(caller, patient)
        async with runtime.unit() as unit:
            rows = await heard.listed(unit, caller.clinic_id, contact_id=of_patient, unread=unread)
            return [_reply(unit, row) for row in rows]

    @routes.get("/replies/{reply_id}", summary="One text that came in")
    async def reply(reply_id: UUID, caller: Clinician) -> ReplyView:
        async with runtime.unit() as unit:
            return _reply(unit, await _reply_row(unit, reply_id, caller.clinic_id))

    @routes.post("/replies/{reply_id}/read", summary="Somebody has read this text")
    async def read(reply_id: UUID, caller: Clinician) -> Outcome:
        async with runtime.unit() as unit:
            row = await _reply_row(unit, reply_id, caller.clinic_id)
            await heard.mark_read(unit, reply_id)
        return Outcome(id=reply_id, outcome="unchanged" if row.read_at else "changed")


async def _reply_row(unit: Unit, reply_id: UUID, clinic_id: UUID) -> Any:
    row = await heard.one(unit, reply_id, clinic_id)
    if row is None:
        raise DomainError("reply_id", "There is no such text in this clinic.", status=404)
    return row


def _reply(unit: Unit, row: Any) -> ReplyView:
    return ReplyView(
        id=row.id,
        patient=row.contact_id,
        at=row.received_at,
        text=heard.body_of(unit, row),
        disposition=row.disposition,
        risk=row.risk,
        read_at=row.read_at,
    )
