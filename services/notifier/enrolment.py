"""Puts contacts on file: what changes, what is said about it, and the one welcome once consent is on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from services.notifier import newcomers
from services.notifier.http.bodies import Consent, ContactLine, Outcome, PatientBody, PatientView, PersonBody, PersonView
from services.notifier.http.clinic import checked_country, checked_zone
from services.notifier.newcomers import Newcomer, outcome, sealed
from services.notifier.numbers import e164
from services.notifier.storage import clinics, contact_rows, plans, welcomes
from services.notifier.storage.clinics import Clinic
from services.notifier.storage.contact_rows import Contact, number_index, number_key, opened, seal
from shared.errors import DomainError
from shared.events.messages import ContactChangedV1, ContactEvent, ContactSuspendedV1, PreferenceChangedV1
from shared.messaging.unit import Unit

#: A change of these alone is a preference, not a contact.
_PREFERENCES = frozenset({"language", "privacy", "alias"})


async def put_one_patient(unit: Unit, clinic_id: UUID, patient_id: UUID, body: PatientBody) -> Outcome:
    """As `put_patient`, alone in its transaction: locks the number as well as the patient."""
    await unit.lock(patient_id, *await number_keys(unit, clinic_id, {patient_id: body}))
    return await put_patient(unit, clinic_id, patient_id, body)


async def put_one_person(unit: Unit, clinic_id: UUID, person_id: UUID, body: PersonBody) -> Outcome:
    """As `put_person`, alone in its transaction: locks the number as well as the person."""
    await unit.lock(person_id, *await number_keys(unit, clinic_id, {person_id: body}))
    return await put_person(unit, clinic_id, person_id, body)


async def number_keys(unit: Unit, clinic_id: UUID, bodies: Mapping[UUID, PatientBody | PersonBody]) -> list[UUID]:
    """What locks the numbers that these contacts come to, for the transaction's one lock (rule 2): then a STOP from there counts
    for them, whichever commits first. Nothing for a number that is theirs already, for a STOP finds and locks them by it; nothing
    for what will be refused."""
    of_clinic = await clinic_of(unit, clinic_id)
    known = await contact_rows.some(unit, bodies)
    comes_to = {one: _index(unit, of_clinic, body) for one, body in bodies.items()}
    return [
        number_key(index)
        for one, index in comes_to.items()
        if index is not None and (one not in known or known[one].number_index != index)
    ]


def _index(unit: Unit, of_clinic: Clinic, body: PatientBody | PersonBody) -> bytes | None:
    try:
        wanted = wanted_of_patient(of_clinic, body) if isinstance(body, PatientBody) else wanted_of_person(of_clinic, body)
    except DomainError:
        return None
    return number_index(unit, wanted["number"]) if wanted.get("number") else None


async def put_patient(unit: Unit, clinic_id: UUID, patient_id: UUID, body: PatientBody) -> Outcome:
    """Creates or changes a patient's contact. Raises DomainError naming the element; nothing is kept then."""
    of_clinic = await clinic_of(unit, clinic_id)
    wanted = wanted_of_patient(of_clinic, body)
    await unit.lock(patient_id)
    known = own(await contact_rows.one(unit, patient_id), clinic_id, "patient")
    consented = body.consent.model_dump() if body.consent else None
    if known is None:
        return (await newcomers.create(unit, clinic_id, "patient", [Newcomer(patient_id, wanted, consented)]))[patient_id]
    changed = await _write(unit, known, wanted)
    if "consent" in body.model_fields_set and await contact_rows.record_consent(unit, known, consented):
        changed |= {"consent"}
    return await _said(unit, patient_id, changed=changed)


def wanted_of_patient(of_clinic: Clinic, body: PatientBody) -> dict[str, Any]:
    """What the contact is to hold, as the database's columns name it. Raises DomainError for what cannot be."""
    country = checked_country(body.country) if body.country else None
    wanted: dict[str, Any] = {
        "name": body.name,
        "alias": body.alias,
        "language": body.language or of_clinic.language,
        "privacy": body.privacy,
        "country": country,
        "number_given": body.number_given,
    }
    if "phone" in body.model_fields_set:
        wanted["number"] = e164(body.phone, country=country or of_clinic.country, element="phone") if body.phone else None
    return wanted


async def put_person(unit: Unit, clinic_id: UUID, person_id: UUID, body: PersonBody) -> Outcome:
    """Creates or changes a member of the care team."""
    of_clinic = await clinic_of(unit, clinic_id)
    await unit.lock(person_id)
    wanted = wanted_of_person(of_clinic, body)
    known = own(await contact_rows.one(unit, person_id), clinic_id, "care-team")
    if known is None:
        return (await newcomers.create(unit, clinic_id, "care-team", [Newcomer(person_id, wanted)]))[person_id]
    return await _said(unit, person_id, changed=await _write(unit, known, wanted))


def wanted_of_person(of_clinic: Clinic, body: PersonBody) -> dict[str, Any]:
    """As `wanted_of_patient`."""
    wanted: dict[str, Any] = {
        "name": body.name,
        "language": body.language or of_clinic.language,
        "zone": checked_zone(body.zone) if body.zone else of_clinic.zone,
        "roles": sorted(set(body.roles)),
    }
    if "phone" in body.model_fields_set:
        wanted["number"] = e164(body.phone, country=of_clinic.country, element="phone") if body.phone else None
    return wanted


async def clinic_of(unit: Unit, clinic_id: UUID) -> Clinic:
    """The clinic's settings; DomainError (409) where it has none yet."""
    found = await clinics.clinic(unit, clinic_id)
    if found is None:
        raise DomainError("clinic", "This clinic has no settings yet.", accepted="PUT /notifier/clinic first", status=409)
    return found


def own(known: Contact | None, clinic_id: UUID, role: str) -> Contact | None:
    """The contact, where it is of this clinic and role. An id that is another's is taken (409)."""
    if known is not None and (known.clinic_id != clinic_id or known.role != role):
        raise DomainError("id", "This id is taken.", status=409)
    return known


def differing(unit: Unit, known: Contact, wanted: dict[str, Any]) -> set[str]:
    """Names of what a contact is to hold otherwise than it does. A number that staff took out of use is not: only another number,
    or staff (`reinstate`), brings the texts back, never the same list sent again."""
    return {name for name, value in wanted.items() if _kept(unit, known, name) != value}


async def _write(unit: Unit, known: Contact, wanted: dict[str, Any]) -> set[str]:
    """Names of what changed. The row is written without an event: `_said` says the whole once."""
    changed = differing(unit, known, wanted)
    if changed:
        values = sealed(unit, known.id, {name: wanted[name] for name in changed})
        if "number" in changed:
            values |= {"suspended": False, "number_suspect": False, "suspect_why": None, "verified": False}
        await contact_rows.write(unit, known.id, values)
    return changed


def _kept(unit: Unit, known: Contact, name: str) -> object:
    sealed_here = {"name": known.name_sealed, "alias": known.alias_sealed, "number": known.number_sealed}
    if name in sealed_here:
        return opened(unit, known.id, name, sealed_here[name])
    return list(known.roles) if name == "roles" else getattr(known, name)


async def _said(unit: Unit, contact_id: UUID, *, changed: set[str]) -> Outcome:
    """One version and one event for one command, and what follows: an opt-out that the number already has, the welcome."""
    if not changed:
        return outcome(await contact_rows.needed(unit, contact_id), "unchanged")
    known = await contact_rows.change(unit, contact_id)
    kind: type[ContactEvent] = PreferenceChangedV1 if changed <= _PREFERENCES else ContactChangedV1
    event = contact_rows.say(unit, kind, known)
    if "number" in changed:
        await newcomers.share_opt_out(unit, [known])
    await newcomers.welcome(unit, {event: known})
    await welcomes.ask_again(unit, [contact_id])
    return outcome(await contact_rows.needed(unit, contact_id), "changed")


async def reinstate(unit: Unit, known: Contact) -> Outcome:
    """The number that staff took out of use is in use again. One that was forgotten has to be put."""
    if not known.suspended:
        return outcome(known, "unchanged")
    await contact_rows.write(unit, known.id, {"suspended": False})
    return await _said(unit, known.id, changed={"suspended"})


async def forget(unit: Unit, known: Contact) -> Outcome:
    """Name, number, consent and labels go; the row stays as a version that says: not reachable."""
    await contact_rows.record_consent(unit, known, None)
    await clinics.forget_labels(unit, known.id)
    blank = {"alias_sealed": None, "number_sealed": None, "number_index": None, "number_given": False}
    now = await contact_rows.change(unit, known.id, suspended=True, name_sealed=seal(unit, known.id, "name", ""), **blank)
    contact_rows.say(unit, ContactSuspendedV1, now, reason="forgotten")
    return Outcome(id=known.id, outcome="changed", contact_version=now.version)


async def patient_view(unit: Unit, known: Contact) -> PatientView:
    consent = await contact_rows.consent_in_force(unit, known.id)
    same = ("language", "privacy", "country", "number_given", "opted_out", "opted_out_at", "number_suspect", "suspect_why")
    more = ("suspended", "last_inbound_at", "welcomed_at")
    paused = known.pause_at(unit.now)
    return PatientView(
        id=known.id,
        name=opened(unit, known.id, "name", known.name_sealed) or "",
        alias=opened(unit, known.id, "alias", known.alias_sealed),
        phone=opened(unit, known.id, "number", known.number_sealed),
        consent=Consent(**consent) if consent else None,
        contact_version=known.version,
        texts_paused=paused,
        paused_until=known.paused_until if paused != "no" else None,
        **{name: getattr(known, name) for name in (*same, *more)},
    )


def person_view(unit: Unit, known: Contact) -> PersonView:
    return PersonView(
        id=known.id,
        name=opened(unit, known.id, "name", known.name_sealed) or "",
        phone=opened(unit, known.id, "number", known.number_sealed),
        zone=known.zone,
        roles=list(known.roles),
        language=known.language,
        contact_version=known.version,
        opted_out=known.opted_out,
        number_suspect=known.number_suspect,
        suspended=known.suspended,
    )


async def lines(unit: Unit, clinic_id: UUID) -> Sequence[ContactLine]:
    """Everybody of a clinic. A patient's label is the alias where there is one; the zone is the plan's."""
    everybody = await contact_rows.of_clinic(unit, clinic_id)
    zones = await plans.states(unit, [known.id for known in everybody if known.is_patient])
    return [
        ContactLine(
            id=known.id,
            number=opened(unit, known.id, "number", known.number_sealed),
            role=known.role,
            label=opened(unit, known.id, "alias", known.alias_sealed) or opened(unit, known.id, "name", known.name_sealed) or "",
            zone=zones[known.id].zone if known.id in zones else known.zone,
        )
        for known in everybody
    ]
