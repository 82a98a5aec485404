"""The clinic's settings, its numbers, and the labels of medicines: what the gate and the templates need beside the contact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import any_, bindparam, delete, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.notifier.domain.facts import Language
from services.notifier.storage.hearing_tables import clinic_settings, contact, label
from shared.errors import DomainError
from shared.messaging.unit import Unit
from shared.own_numbers import own

SECTION = "notifier"
_GATE_NUMBERS = ("quiet_from", "quiet_until", "texts_a_day", "alerts_an_hour", "dose_late_after", "conversation_runs_for")


@dataclass(frozen=True)
class Clinic:
    """One clinic's settings. `numbers` are its own in place of defaults.toml [notifier]."""

    clinic_id: UUID
    name: str
    zone: str
    country: str
    sender: str
    language: Language
    crisis_contact_id: UUID | None
    phone_for_help: str | None
    numbers: Mapping[str, Any]

    def number(self, name: str) -> Any:
        return own(SECTION, name, self.numbers)

    def facts(self) -> dict[str, Any]:
        """The clinic's part of ContactFacts, whoever the contact is."""
        numbers = {name: self.number(name) for name in _GATE_NUMBERS}
        settings = {"crisis_contact_id": self.crisis_contact_id, "phone_for_help": self.phone_for_help}
        return {"sender": self.sender, "clinic_name": self.name, **settings, **numbers}


#: In the order of `Clinic`.
COLUMNS = [clinic_settings.c[name] for name in Clinic.__dataclass_fields__]
_IDS = bindparam("ids", type_=ARRAY(clinic_settings.c.clinic_id.type))
_SOME = select(*COLUMNS).where(clinic_settings.c.clinic_id == any_(_IDS))


async def clinics(unit: Unit, ids: Collection[UUID]) -> dict[UUID, Clinic]:
    rows = await unit.conn.execute(_SOME, {"ids": list(ids)})
    return {row.clinic_id: Clinic(*row) for row in rows}


async def clinic(unit: Unit, clinic_id: UUID) -> Clinic | None:
    return (await clinics(unit, (clinic_id,))).get(clinic_id)


async def ids(unit: Unit) -> list[UUID]:
    """Every clinic that has settings."""
    return list((await unit.conn.execute(select(clinic_settings.c.clinic_id))).scalars())


async def clinics_of_sender(unit: Unit, sender: str) -> list[Clinic]:
    """The clinics that text from that number of ours."""
    rows = await unit.conn.execute(
        select(*COLUMNS).where(clinic_settings.c.sender == sender).order_by(clinic_settings.c.clinic_id)
    )
    return [Clinic(**row._mapping) for row in rows]


async def senders(unit: Unit) -> list[tuple[str, UUID]]:
    """Every number of ours, each with a clinic that uses it."""
    rows = await unit.conn.execute(
        select(clinic_settings.c.sender, clinic_settings.c.clinic_id).order_by(
            clinic_settings.c.sender, clinic_settings.c.clinic_id
        )
    )
    return list({row.sender: row.clinic_id for row in rows}.items())


async def put_clinic(unit: Unit, wanted: Clinic) -> bool:
    """Stores the settings; whether that changed anything."""
    known = await clinic(unit, wanted.clinic_id)
    if known == wanted:
        return False
    values = {name: getattr(wanted, name) for name in Clinic.__dataclass_fields__} | {"changed_at": unit.now}
    statement = insert(clinic_settings).values(values)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["clinic_id"], set_=values))
    return True


@dataclass(frozen=True)
class Label:
    """What a medicine is called in a patient's texts."""

    clinic_id: UUID
    patient_id: UUID
    text: str = field(repr=False)


async def labels(unit: Unit, medications: Collection[UUID]) -> dict[UUID, Label]:
    """The labels of those of the medicines that have one."""
    if not medications:
        return {}
    rows = await unit.conn.execute(select(label).where(label.c.medication_id.in_(tuple(medications))))
    return {row.medication_id: Label(row.clinic_id, row.patient_id, _label(unit, row)) for row in rows}


def check_owner(known: Label | None, clinic_id: UUID, patient_id: UUID) -> None:
    """A label belongs to one patient of one clinic (409)."""
    if known is not None and (known.clinic_id, known.patient_id) != (clinic_id, patient_id):
        raise DomainError("patient", "This medicine is another patient's.", status=409)


async def put_label(unit: Unit, clinic_id: UUID, patient_id: UUID, medication_id: UUID, text: str | None) -> bool:
    """What a medicine is called in this patient's texts; None takes it away. Whether that changed anything. DomainError (409)
    where the medicine is another patient's."""
    known = (await labels(unit, (medication_id,))).get(medication_id)
    check_owner(known, clinic_id, patient_id)
    if text == (known.text if known else None):
        return False
    if text is None:
        await unit.conn.execute(delete(label).where(label.c.medication_id == medication_id))
    else:
        await put_labels(unit, clinic_id, {patient_id: {medication_id: text}})
    return True


async def put_labels(unit: Unit, clinic_id: UUID, fresh: Mapping[UUID, Mapping[UUID, str]]) -> None:
    """Sets labels, by patient and medicine, in one statement."""
    rows = [
        {
            "medication_id": one,
            "clinic_id": clinic_id,
            "patient_id": patient,
            "text_sealed": unit.cipher.seal(text, table="label", column="text", row=one),
            "changed_at": unit.now,
        }
        for patient, called in fresh.items()
        for one, text in called.items()
    ]
    if rows:
        statement = insert(label)
        changes = {name: statement.excluded[name] for name in ("text_sealed", "changed_at")}
        await unit.conn.execute(statement.on_conflict_do_update(index_elements=["medication_id"], set_=changes), rows)


async def label_owner(unit: Unit, medication_id: UUID) -> tuple[UUID, UUID] | None:
    """Clinic and patient of a medicine's label."""
    known = (await labels(unit, (medication_id,))).get(medication_id)
    return None if known is None else (known.clinic_id, known.patient_id)


async def forget_labels(unit: Unit, patient_id: UUID) -> None:
    await unit.conn.execute(delete(label).where(label.c.patient_id == patient_id))


def _label(unit: Unit, row: Any) -> str:
    return unit.cipher.open(row.text_sealed, table="label", column="text", row=row.medication_id)


_OWN = (contact.c.id == label.c.patient_id) & (contact.c.clinic_id == label.c.clinic_id)
_LABELS_OF = select(label).join(contact, _OWN).where(label.c.patient_id == any_(_IDS))


async def labels_of(unit: Unit, patient_ids: Collection[UUID]) -> dict[UUID, dict[UUID, str]]:
    """By patient: medication id -> what it is called, in the words of the patient's own clinic."""
    found: dict[UUID, dict[UUID, str]] = {}
    for row in await unit.conn.execute(_LABELS_OF, {"ids": list(patient_ids)}) if patient_ids else ():
        found.setdefault(row.patient_id, {})[row.medication_id] = _label(unit, row)
    return found
