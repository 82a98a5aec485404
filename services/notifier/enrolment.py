"""Puts contacts on file: what changes, what is said about it, and the one welcome once consent is on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from services.notifier import replies
from services.notifier.http.bodies import Consent, ContactLine, Outcome, PatientBody, PatientView, PersonBody, PersonView
from services.notifier.http.clinic import checked_country, checked_zone
from services.notifier.numbers import e164
from services.notifier.storage import clinics, contact_rows, plans, wishes
from services.notifier.storage.clinics import Clinic
from services.notifier.storage.contact_rows import Contact, number_index, opened, seal
from shared.errors import DomainError
from shared.events.messages import ContactChangedV1, ContactEvent, ContactSuspendedV1, PreferenceChangedV1
from shared.messaging.unit import Unit

#: A change of these alone is a preference, not a contact.
_PREFERENCES = frozenset({"language", "privacy", "alias"})
Missing = Literal["phone", "consent"]


async def put_patient(unit: Unit, clinic_id: UUID, patient_id: UUID, body: PatientBody) -> Outcome:
    """Creates or changes a patient's contact. Raises DomainError naming the element; nothing is kept then."""
    of_clinic = await _clinic(unit, clinic_id)
    await unit.lock(patient_id)
    country = checked_country(body.country) if body.country else None
    given = body.model_fields_set
    wanted: dict[str, Any] = {
        "name": body.name,
        "alias": body.alias,
        "language": body.language or of_clinic.language,
        "privacy": body.privacy,
        "country": country,
        "number_given": body.number_given,
    }
    if "phone" in given:
        wanted["number"] = e164(body.phone, country=country or of_clinic.country, element="phone") if body.phone else None
    known = await _own(unit, clinic_id, patient_id, "patient")
    created, changed = await _write(unit, clinic_id, patient_id, "patient", known, wanted)
    now = await contact_rows.needed(unit, patient_id)
    consented = body.consent.model_dump() if body.consent else None
    if "consent" in given and await contact_rows.record_consent(unit, now, consented):
        changed |= {"consent"}
    return await _said(unit, patient_id, created=created, changed=changed)


async def put_person(unit: Unit, clinic_id: UUID, person_id: UUID, body: PersonBody) -> Outcome:
    """Creates or changes a member of the care team."""
    of_clinic = await _clinic(unit, clinic_id)
    await unit.lock(person_id)
    wanted: dict[str, Any] = {
        "name": body.name,
        "language": body.language or of_clinic.language,
        "zone": checked_zone(body.zone) if body.zone else of_clinic.zone,
        "roles": sorted(set(body.roles)),
    }
    if "phone" in body.model_fields_set:
        wanted["number"] = e164(body.phone, country=of_clinic.country, element="phone") if body.phone else None
    known = await _own(unit, clinic_id, person_id, "care-team")
    created, changed = await _write(unit, clinic_id, person_id, "care-team", known, wanted)
    return await _said(unit, person_id, created=created, changed=changed)


async def _clinic(unit: Unit, clinic_id: UUID) -> Clinic:
    found = await clinics.clinic(unit, clinic_id)
    if found is None:
        raise DomainError("clinic", "This clinic has no settings yet.", accepted="PUT /notifier/clinic first", status=409)
    return found


async def _own(unit: Unit, clinic_id: UUID, contact_id: UUID, role: str) -> Contact | None:
    known = await contact_rows.one(unit, contact_id)
    if known is not None and (known.clinic_id != clinic_id or known.role != role):
        raise DomainError("id", "This id is taken.", status=409)
    return known


async def _write(
    unit: Unit, clinic_id: UUID, contact_id: UUID, role: str, known: Contact | None, wanted: dict[str, Any]
) -> tuple[bool, set[str]]:
    """(created, names of what changed). The row is written without an event: `_said` says the whole once."""
    if known is None:
        values = _sealed(unit, contact_id, wanted)
        await contact_rows.insert_contact(unit, contact_id, values | {"clinic_id": clinic_id, "role": role})
        return True, set(wanted)
    changed = {name for name, value in wanted.items() if _kept(unit, known, name) != value}
    if known.suspended:
        changed.add("suspended")
    if changed:
        values = _sealed(unit, contact_id, {name: wanted[name] for name in changed if name in wanted}) | {"suspended": False}
        if "number" in changed:
            values |= {"number_suspect": False, "suspect_why": None, "verified": False}
        await contact_rows.write(unit, contact_id, values)
    return False, changed


def _kept(unit: Unit, known: Contact, name: str) -> object:
    sealed = {"name": known.name_sealed, "alias": known.alias_sealed, "number": known.number_sealed}
    if name in sealed:
        return opened(unit, known.id, name, sealed[name])
    return list(known.roles) if name == "roles" else getattr(known, name)


def _sealed(unit: Unit, contact_id: UUID, wanted: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in wanted.items() if name not in ("name", "alias", "number")}
    for name in ("name", "alias", "number"):
        if name in wanted:
            values[f"{name}_sealed"] = None if wanted[name] is None else seal(unit, contact_id, name, wanted[name])
    if "number" in wanted:
        values["number_index"] = None if wanted["number"] is None else number_index(unit, wanted["number"])
    return values


async def _said(unit: Unit, contact_id: UUID, *, created: bool, changed: set[str]) -> Outcome:
    """One version and one event for one command, and what follows: an opt-out that the number already has, the welcome."""
    if not created and not changed:
        known = await contact_rows.needed(unit, contact_id)
        return Outcome(id=contact_id, outcome="unchanged", contact_version=known.version, missing=missing(known))
    known = await contact_rows.needed(unit, contact_id) if created else await contact_rows.change(unit, contact_id)
    kind: type[ContactEvent] = PreferenceChangedV1 if not created and changed <= _PREFERENCES else ContactChangedV1
    event = contact_rows.say(unit, kind, known)
    await _shared_number(unit, known, changed)
    if known.is_patient and known.consent and known.number_on_file and known.welcomed_at is None:
        await replies.welcome(unit, known, event)
        await contact_rows.write(unit, contact_id, {"welcomed_at": unit.now})
    now = await contact_rows.needed(unit, contact_id)
    outcome: Literal["created", "changed"] = "created" if created else "changed"
    return Outcome(id=contact_id, outcome=outcome, contact_version=now.version, missing=missing(now))


async def _shared_number(unit: Unit, known: Contact, changed: set[str]) -> None:
    """A STOP counts for the number: who is put on it later is opted out as well (the provider would refuse the text anyway)."""
    if "number" not in changed or known.number_index is None or known.opted_out:
        return
    for other in await contact_rows.by_number(unit, known.number_index, (known.clinic_id,)):
        if other.id != known.id and other.opted_out and await wishes.by_keyword(unit, other.id):
            await wishes.opt_out(unit, known.id, "provider")
            return


def missing(known: Contact) -> list[Missing]:
    """What must be on record before a text may go."""
    found: list[Missing] = []
    if not known.number_on_file:
        found.append("phone")
    if known.is_patient and not known.consent:
        found.append("consent")
    return found


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
