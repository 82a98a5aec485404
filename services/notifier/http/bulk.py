"""Many contacts at once: people of the care team, patients, and what each patient's medicines are called in a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, SkipValidation

from services.notifier import bulk as many
from services.notifier import enrolment
from services.notifier.bulk import Decided, Item
from services.notifier.http.bodies import Body, LabelBody, Outcome, PatientBody, PersonBody
from services.notifier.http.contacts import Staff, medication_id_of
from services.notifier.newcomers import Missing
from services.notifier.storage import contact_rows
from shared.errors import DomainError
from shared.http import Caller, bulk, patient_id, person_id
from shared.http.bulk import ItemResult
from shared.messaging.unit import Unit
from shared.runtime import Runtime

DryRun = Annotated[bool, Query(description="Validate only; nothing is written.")]


class PersonItem(Body):
    """`person`: our id or the clinic's own. The contact is checked item by item."""

    person: str
    contact: SkipValidation[PersonBody]


class PatientItem(Body):
    """`contact` left out: only labels. `labels`: id of a medicine -> what it is called in this patient's texts."""

    patient: str
    contact: SkipValidation[PatientBody] | None = None
    #: The consent in `contact` was recorded for many patients at once: it does not replace one that is on record.
    consent_if_none: bool = False
    labels: dict[str, str] = Field(default_factory=dict, max_length=50)


class Contacts(Body):
    people: list[PersonItem] = Field(default_factory=list, max_length=bulk.MOST)
    patients: list[PatientItem] = Field(default_factory=list, max_length=bulk.MOST)


class PatientResult(ItemResult):
    """`missing`: what must be on record before a text may go."""

    missing: list[Missing] = Field(default_factory=list)


class ContactsAnswer(BaseModel):
    people: list[ItemResult]
    patients: list[PatientResult]


def router(runtime: Runtime) -> APIRouter:
    routes = APIRouter(tags=["contacts"])

    @routes.post("/bulk/contacts", summary="Put up to 500 members of the care team and 500 patients")
    async def put_contacts(body: Contacts, caller: Staff, dry_run: DryRun = False) -> ContactsAnswer:
        """One transaction. An item that is refused changes nothing and harms no other; with `dry_run` nothing is written."""
        once = bulk.Once()
        people = [_person(caller, one, once) for one in body.people]
        patients = [_patient(caller, one, once) for one in body.patients]
        clinic = caller.clinic_id
        if dry_run:
            async with bulk.reading(runtime) as unit:
                staff = await _checked(unit, clinic, people)
                decided = await many.decide(unit, clinic, patients)
        else:
            async with runtime.unit() as unit:
                ids = [*(one for one, _ in bulk.good(people)), *(one.patient for one in bulk.good(patients))]
                bodies: dict[UUID, PatientBody | PersonBody] = {
                    **dict(bulk.good(people)),
                    **{one.patient: one.body for one in bulk.good(patients) if one.body},
                }
                await unit.lock(*ids, *await enrolment.number_keys(unit, clinic, bodies))
                decided = await many.decide(unit, clinic, patients)
                staff = await bulk.write_good(unit, people, partial(_put_people, unit, clinic))
                decided = await bulk.write_good(unit, decided, partial(many.write, unit, clinic))
                bulk.audited("contact", ids)
        return ContactsAnswer(
            people=[_person_result(one, made, dry_run) for one, made in zip(body.people, staff, strict=True)],
            patients=[_patient_result(one, made, dry_run) for one, made in zip(body.patients, decided, strict=True)],
        )

    return routes


Person = tuple[UUID, PersonBody]


def _person(caller: Caller, item: PersonItem, once: bulk.Once) -> Person | DomainError:
    try:
        identity = person_id(caller, item.person)
        once.check(identity)
        return identity, bulk.read(PersonBody, item.contact)
    except DomainError as refusal:
        return refusal


def _patient(caller: Caller, item: PatientItem, once: bulk.Once) -> Item | DomainError:
    try:
        identity = patient_id(caller, item.patient)
        once.check(identity)
        labels = {
            medication_id_of(caller, item.patient, medicine): _label(item.patient, medicine, text)
            for medicine, text in item.labels.items()
        }
        body = bulk.read(PatientBody, item.contact) if item.contact is not None else None
    except DomainError as refusal:
        return refusal
    return Item(identity, body, item.consent_if_none, labels)


def _label(patient: str, medicine: str, text: str) -> str:
    try:
        return bulk.read(LabelBody, {"text": text, "patient": patient}).text
    except DomainError as refusal:
        raise DomainError("labels", "This is no label.", accepted=refusal.accepted) from None


async def _checked(unit: Unit, clinic_id: UUID, people: Sequence[Person | DomainError]) -> list[Outcome | DomainError]:
    of_clinic = await enrolment.clinic_of(unit, clinic_id)
    known = await contact_rows.some(unit, [one for one, _ in bulk.good(people)])

    def check(person: Person | DomainError) -> Outcome | DomainError:
        if isinstance(person, DomainError):
            return person
        try:
            enrolment.own(known.get(person[0]), clinic_id, "care-team")
            enrolment.wanted_of_person(of_clinic, person[1])
        except DomainError as refusal:
            return refusal
        return Outcome(id=person[0], outcome="unchanged")

    return [check(one) for one in people]


async def _put_people(unit: Unit, clinic_id: UUID, people: Sequence[Person]) -> Sequence[Outcome]:
    """Each by the single command: a clinic's staff are a handful."""
    return [await enrolment.put_person(unit, clinic_id, one, body) for one, body in people]


def _person_result(item: PersonItem, done: Outcome | DomainError, dry_run: bool) -> ItemResult:
    if isinstance(done, DomainError):
        return bulk.result(item.person, done)
    return bulk.result(item.person, "valid" if dry_run else done.outcome)


def _patient_result(item: PatientItem, done: Decided | DomainError, dry_run: bool) -> PatientResult:
    if isinstance(done, DomainError):
        return PatientResult(id=item.patient, **bulk.refused(done))
    return PatientResult(id=item.patient, outcome="valid" if dry_run else done.outcome, missing=list(done.missing))
