"""Contacts, as the rest of the notifier uses them: the facts for the gate, and what sending may learn of a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.risk import crisis_line
from services.notifier.storage import clinics, contact_rows
from services.notifier.storage.clinics import Clinic, labels_of
from services.notifier.storage.contact_rows import Contact, opened
from services.notifier.storage.hearing_tables import clinic_settings, contact
from services.notifier.storage.wishes import mark_suspect, opt_out
from shared.messaging.unit import Unit

_WIDTH = len(contact_rows.COLUMNS)
_SOME = (
    select(*contact_rows.COLUMNS, *clinics.COLUMNS)
    .join(clinic_settings, clinic_settings.c.clinic_id == contact.c.clinic_id)
    .where(contact.c.id == any_(bindparam("ids", type_=ARRAY(contact.c.id.type))))
)


async def gate_facts(unit: Unit, ids: Collection[UUID]) -> dict[UUID, ContactFacts]:
    """All that the gate and the templates may know of these contacts, now, under their locks. Who is not on file is not in it."""
    rows = await unit.conn.execute(_SOME, {"ids": list(ids)})
    found = [(Contact(*row[:_WIDTH]), Clinic(*row[_WIDTH:])) for row in rows]
    named = [known.id for known, _ in found if known.is_patient and known.privacy == "named"]  # no other text has labels
    labels = await labels_of(unit, named)
    return {known.id: _facts(unit, known, of_clinic, labels.get(known.id, {})) for known, of_clinic in found}


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
