"""Contacts as rows: who can be reached, how, and whether they want to be. Every change is a version and a state event with the
whole snapshot (DESIGN.md 3). Call everything here under the patient's lock; nothing here takes one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, any_, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.notifier.domain.facts import Language, Privacy, Role, TextsPaused
from services.notifier.storage.hearing_tables import consent, contact
from shared.events.base import stable_id
from shared.events.messages import ContactEvent, ContactSnapshot
from shared.messaging.unit import Unit
from shared.restore.mode import version_base

NUMBER_PURPOSE = "phone"


@dataclass(frozen=True)
class Contact:
    """One contact as it stood when it was read. Sealed fields stay sealed; instants are UTC."""

    id: UUID
    clinic_id: UUID
    role: Role
    name_sealed: bytes
    alias_sealed: bytes | None
    number_sealed: bytes | None
    number_index: bytes | None
    number_given: bool
    language: Language
    privacy: Privacy
    country: str | None
    zone: str | None
    roles: Sequence[str]
    version: int
    opted_out: bool
    opted_out_at: datetime | None
    opted_out_by: UUID | None
    number_suspect: bool
    suspect_why: str | None
    verified: bool
    suspended: bool
    texts_paused: TextsPaused
    paused_until: datetime | None
    last_inbound_at: datetime | None
    welcomed_at: datetime | None
    #: Whether consent is on record and in force.
    consent: bool

    @property
    def is_patient(self) -> bool:
        return self.role == "patient"

    @property
    def number_on_file(self) -> bool:
        return self.number_sealed is not None and not self.suspended

    def pause_at(self, now: datetime) -> TextsPaused:
        """The pause in force: one with an end is over when that comes, whether or not its event has gone yet."""
        return "no" if self.paused_until is not None and self.paused_until <= now else self.texts_paused

    def __repr__(self) -> str:
        return f"Contact(id={self.id})"


def seal(unit: Unit, contact_id: UUID, column: str, text: str) -> bytes:
    return unit.cipher.seal(text, table="contact", column=column, row=contact_id)


def opened(unit: Unit, contact_id: UUID, column: str, blob: bytes | None) -> str | None:
    return None if blob is None else unit.cipher.open(blob, table="contact", column=column, row=contact_id)


def number_index(unit: Unit, number: str) -> bytes:
    """By what a number is found. The same number has the same index in every clinic."""
    return unit.cipher.blind_index(number, purpose=NUMBER_PURPOSE)


def number_key(index: bytes) -> UUID:
    """What locks a number: an inbound text and a contact that is being put on it see each other, or wait."""
    return stable_id("number", index.hex())


_IN_FORCE = select(consent.c.id).where(consent.c.contact_id == contact.c.id, consent.c.ended_at.is_(None)).exists()
#: In the order of `Contact`.
COLUMNS = [*(contact.c[field.name] for field in fields(Contact) if field.name != "consent"), _IN_FORCE.label("consent")]


_SOME = select(*COLUMNS).where(contact.c.id == any_(bindparam("ids", type_=ARRAY(contact.c.id.type))))


def _of(row: Row[Any]) -> Contact:
    return Contact(*tuple(row))


async def some(unit: Unit, ids: Collection[UUID]) -> dict[UUID, Contact]:
    rows = await unit.conn.execute(_SOME, {"ids": list(ids)})
    return {row.id: _of(row) for row in rows}


async def one(unit: Unit, contact_id: UUID, clinic_id: UUID | None = None) -> Contact | None:
    """The contact, in that clinic where one is named."""
    found = (await some(unit, (contact_id,))).get(contact_id)
    return found if found is None or clinic_id in (None, found.clinic_id) else None


async def by_number(unit: Unit, index: bytes, clinics: Collection[UUID]) -> list[Contact]:
    """Everybody with that number, in id order; in the named clinics only, where some are named."""
    statement = select(*COLUMNS).where(contact.c.number_index == index).order_by(contact.c.id)
    if clinics:
        statement = statement.where(contact.c.clinic_id.in_(tuple(clinics)))
    return [_of(row) for row in await unit.conn.execute(statement)]


async def of_clinic(unit: Unit, clinic_id: UUID) -> list[Contact]:
    rows = await unit.conn.execute(
        select(*COLUMNS)
        .where(contact.c.clinic_id == clinic_id)
        .order_by(contact.c.role.desc(), contact.c.created_at, contact.c.id)
    )
    return [_of(row) for row in rows]


async def insert_contacts(unit: Unit, new: Mapping[UUID, Mapping[str, Any]]) -> None:
    """New contacts, each at its first version, in one statement. Those with the same columns go together."""
    first = 1 + await version_base(unit.conn, unit.service)
    fixed = {"version": first, "created_at": unit.now, "changed_at": unit.now}
    rows = [{"id": contact_id, **fixed, **values} for contact_id, values in new.items()]
    for _, alike in groupby(sorted(rows, key=_columns), key=_columns):
        await unit.conn.execute(insert(contact), list(alike))


def _columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(row))


async def welcomed(unit: Unit, ids: Collection[UUID]) -> None:
    """Their one welcome has been queued. No event: nobody else keeps it."""
    if ids:
        told = update(contact).where(contact.c.id.in_(tuple(ids)))
        await unit.conn.execute(told.values(changed_at=unit.now, welcomed_at=unit.now))


async def opted_out_by_number(unit: Unit, numbers: Collection[bytes], clinics: Collection[UUID]) -> list[Contact]:
    """Everybody in these clinics with one of the numbers who has opted out, in id order."""
    if not numbers:
        return []
    mine = contact.c.number_index.in_(tuple(numbers)) & contact.c.clinic_id.in_(tuple(clinics)) & contact.c.opted_out
    return [_of(row) for row in await unit.conn.execute(select(*COLUMNS).where(mine).order_by(contact.c.id))]


async def write(unit: Unit, contact_id: UUID, values: Mapping[str, Any]) -> None:
    """Writes without a version of its own: the caller says the change, or nobody else keeps what changed."""
    await unit.conn.execute(update(contact).where(contact.c.id == contact_id).values(changed_at=unit.now, **values))


async def change(unit: Unit, contact_id: UUID, **values: Any) -> Contact:
    """Writes a change as the contact's next version."""
    await unit.conn.execute(
        update(contact).where(contact.c.id == contact_id).values(version=contact.c.version + 1, changed_at=unit.now, **values)
    )
    return await needed(unit, contact_id)


async def needed(unit: Unit, contact_id: UUID) -> Contact:
    found = await one(unit, contact_id)
    if found is None:
        raise LookupError("no such contact")
    return found


def say(unit: Unit, kind: type[ContactEvent], known: Contact, **more: Any) -> UUID:
    """The state event of the contact as it is now; its id."""
    event = kind(
        clinic_id=known.clinic_id,
        patient_id=known.id if known.is_patient else None,
        person_id=None if known.is_patient else known.id,
        contact_version=known.version,
        contact=snapshot(known, unit.now),
        **more,
    )
    return unit.emit(event)


def snapshot(known: Contact, now: datetime) -> ContactSnapshot:
    """The whole of what others may know."""
    paused = known.pause_at(now)
    willing = not known.opted_out and (known.consent or not known.is_patient)
    return ContactSnapshot(
        reachable=known.number_on_file and willing and not known.number_suspect,
        number_on_file=known.number_on_file,
        consent=known.consent,
        opted_out=known.opted_out,
        number_suspect=known.number_suspect,
        texts_paused=paused,
        paused_until=known.paused_until if paused != "no" else None,
    )


async def heard_from(unit: Unit, contact_ids: Collection[UUID], at: datetime) -> None:
    """Somebody wrote at that instant: the number is alive, and a conversation runs. No event: nobody else keeps it."""
    await unit.conn.execute(
        update(contact)
        .where(contact.c.id.in_(tuple(contact_ids)))
        .values(last_inbound_at=func.greatest(contact.c.last_inbound_at, at), verified=~contact.c.number_suspect)
    )


async def record_consent(unit: Unit, known: Contact, given: Mapping[str, Any] | None) -> bool:
    """Puts consent on record, or ends it (None). Whether that changed anything. What was given before stays on record."""
    in_force = (
        await unit.conn.execute(select(consent).where(consent.c.contact_id == known.id, consent.c.ended_at.is_(None)))
    ).one_or_none()
    if given is None:
        await unit.conn.execute(
            update(consent).where(consent.c.contact_id == known.id, consent.c.ended_at.is_(None)).values(ended_at=unit.now)
        )
        return in_force is not None
    if in_force is not None and consent_of(unit, in_force) == dict(given):
        return False
    if in_force is not None:
        await unit.conn.execute(update(consent).where(consent.c.id == in_force.id).values(ended_at=unit.now))
    await insert_consents(unit, known.clinic_id, {known.id: given})
    return True


async def insert_consents(unit: Unit, clinic_id: UUID, given: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Consent of contacts that have none in force: on which day, how and to whom, the words sealed."""
    if given:
        await unit.conn.execute(insert(consent), [_consent(unit, clinic_id, one, words) for one, words in given.items()])


def _consent(unit: Unit, clinic_id: UUID, contact_id: UUID, given: Mapping[str, Any]) -> dict[str, Any]:
    fresh = uuid4()
    words = {name: unit.cipher.seal(given[name], table="consent", column=name, row=fresh) for name in ("how", "to_whom")}
    return {
        "id": fresh,
        "clinic_id": clinic_id,
        "contact_id": contact_id,
        "given_on": given["given_on"],
        "how_sealed": words["how"],
        "to_whom_sealed": words["to_whom"],
        "recorded_at": unit.now,
    }


def consent_of(unit: Unit, row: Row[Any]) -> dict[str, Any]:
    return {
        "given_on": row.given_on,
        "how": unit.cipher.open(row.how_sealed, table="consent", column="how", row=row.id),
        "to_whom": unit.cipher.open(row.to_whom_sealed, table="consent", column="to_whom", row=row.id),
    }


async def consents_in_force(unit: Unit, ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    """The consent of each of the contacts that has one in force."""
    rows = await unit.conn.execute(select(consent).where(consent.c.contact_id.in_(tuple(ids)), consent.c.ended_at.is_(None)))
    return {row.contact_id: consent_of(unit, row) for row in rows}


async def consent_in_force(unit: Unit, contact_id: UUID) -> dict[str, Any] | None:
    row = (
        await unit.conn.execute(select(consent).where(consent.c.contact_id == contact_id, consent.c.ended_at.is_(None)))
    ).one_or_none()
    return None if row is None else consent_of(unit, row)
