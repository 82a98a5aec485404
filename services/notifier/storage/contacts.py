"""Contacts, as the rest of the notifier uses them: the facts for the gate, and what sending may learn of a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.risk import crisis_line
from services.notifier.storage.clinics import Clinic, clinics, labels_of
from services.notifier.storage.contact_rows import Contact, opened, some
from services.notifier.storage.wishes import mark_suspect, opt_out
from shared.messaging.unit import Unit


async def gate_facts(unit: Unit, ids: Collection[UUID]) -> dict[UUID, ContactFacts]:
    """All that the gate and the templates may know of these contacts, now, under their locks. Who is not on file is not in it."""
    contacts = await some(unit, ids)
    settings = await clinics(unit, {known.clinic_id for known in contacts.values()})
    named = [known.id for known in contacts.values() if known.is_patient and known.privacy == "named"]  # no other text has labels
    labels = await labels_of(unit, named)
    return {
        known.id: _facts(unit, known, settings[known.clinic_id], labels.get(known.id, {}))
        for known in contacts.values()
        if known.clinic_id in settings
    }


def _facts(unit: Unit, known: Contact, of_clinic: Clinic, labels: Mapping[UUID, str]) -> ContactFacts:
    country = known.country or of_clinic.country
    number = None if known.suspended else opened(unit, known.id, "number", known.number_sealed)
    return ContactFacts(
        id=known.id,
        role=known.role,
        clinic_id=known.clinic_id,
        number=number,
        name=opened(unit, known.id, "name", known.name_sealed) or "",
        language=known.language,
        privacy=known.privacy,
        country=country,
        zone=known.zone,
        consent=known.consent,
        opted_out=known.opted_out,
        number_suspect=known.number_suspect,
        texts_paused=known.pause_at(unit.now),
        paused_until=known.paused_until,
        verified=known.verified,
        last_inbound_at=known.last_inbound_at,
        welcome_sent=known.welcomed_at is not None,
        contact_version=known.version,
        crisis_line=crisis_line(country, known.language),
        labels=labels,
        opted_out_at=known.opted_out_at,
        opted_out_by=known.opted_out_by,
        number_given=known.number_given,
        **of_clinic.facts(),
    )


__all__ = ["gate_facts", "mark_suspect", "opt_out"]
