"""Many patients' contacts and labels in one transaction, by the same rules and functions as one (enrolment, newcomers).

Everything is read in a handful of questions and compared; new contacts are written a statement each kind, those that nothing
changes for cost nothing more, and the few that change go through the single command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

from services.notifier import enrolment, newcomers
from services.notifier.http.bodies import PatientBody
from services.notifier.newcomers import Missing, Newcomer
from services.notifier.storage import clinics, contact_rows
from services.notifier.storage.contact_rows import Contact
from shared.errors import DomainError
from shared.http import bulk
from shared.messaging.unit import Unit

What = Literal["created", "changed", "unchanged"]


@dataclass(frozen=True)
class Item:
    """One patient. `body` None: only labels. `standing`: consent that stands is not replaced by this one (it was recorded for
    many at once, the other for this patient). `labels`: our id of a medicine -> what it is called."""

    patient: UUID
    body: PatientBody | None = None
    standing: bool = False
    labels: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decided:
    """What an item means against what is on file."""

    item: Item
    contact: What
    wanted: Mapping[str, Any]
    missing: tuple[Missing, ...]
    #: Labels that are new or differ.
    labels: Mapping[UUID, str]

    @property
    def outcome(self) -> What:
        return "changed" if self.contact == "unchanged" and self.labels else self.contact


@dataclass(frozen=True)
class _OnFile:
    of_clinic: clinics.Clinic
    contacts: Mapping[UUID, Contact]
    consents: Mapping[UUID, Mapping[str, Any]]
    labels: Mapping[UUID, clinics.Label]


async def decide(unit: Unit, clinic_id: UUID, items: Sequence[Item | DomainError]) -> list[Decided | DomainError]:
    """Checks and compares all items; writes nothing. The refusals keep their places."""
    good = bulk.good(items)
    on_file = _OnFile(
        await enrolment.clinic_of(unit, clinic_id),
        await contact_rows.some(unit, [one.patient for one in good]),
        await contact_rows.consents_in_force(unit, [one.patient for one in good]),
        await clinics.labels(unit, [label for one in good for label in one.labels]),
    )
    return [one if isinstance(one, DomainError) else _decided(unit, one, on_file) for one in items]


def _decided(unit: Unit, item: Item, on_file: _OnFile) -> Decided | DomainError:
    try:
        labels = _labels(item, on_file)
        known = enrolment.own(on_file.contacts.get(item.patient), on_file.of_clinic.clinic_id, "patient")
        if item.body is None:
            return Decided(item, "unchanged", {}, tuple(newcomers.missing(known)) if known else ("phone", "consent"), labels)
        consent = on_file.consents.get(item.patient)
        item = _with_standing(item, consent)
        assert item.body is not None
        wanted = enrolment.wanted_of_patient(on_file.of_clinic, item.body)
    except DomainError as refusal:
        return refusal
    what = _what(unit, known, wanted, item.body, consent)
    return Decided(item, what, wanted, _missing(known, item.body, wanted), labels)


def _with_standing(item: Item, consent: Mapping[str, Any] | None) -> Item:
    if item.body is None or not item.standing or consent is None:
        return item
    kept = item.body.model_dump(exclude_unset=True, exclude={"consent"})
    return replace(item, body=PatientBody.model_validate(kept))


def _what(
    unit: Unit, known: Contact | None, wanted: dict[str, Any], body: PatientBody, consent: Mapping[str, Any] | None
) -> What:
    if known is None:
        return "created"
    given = body.consent.model_dump() if body.consent else None
    other_consent = "consent" in body.model_fields_set and given != consent
    return "changed" if other_consent or enrolment.differing(unit, known, wanted) else "unchanged"


def _missing(known: Contact | None, body: PatientBody, wanted: Mapping[str, Any]) -> tuple[Missing, ...]:
    has_number = wanted["number"] is not None if "number" in wanted else known is not None and known.number_on_file
    has_consent = body.consent is not None if "consent" in body.model_fields_set else known is not None and known.consent
    missing: list[Missing] = [] if has_number else ["phone"]
    return tuple(missing if has_consent else [*missing, "consent"])


def _labels(item: Item, on_file: _OnFile) -> dict[UUID, str]:
    fresh = {}
    for medication, text in item.labels.items():
        known = on_file.labels.get(medication)
        clinics.check_owner(known, on_file.of_clinic.clinic_id, item.patient)
        if known is None or known.text != text:
            fresh[medication] = text
    return fresh


async def write(unit: Unit, clinic_id: UUID, decided: Sequence[Decided]) -> Sequence[Decided]:
    """Writes what was decided, under the locks of all these patients."""
    new = [Newcomer(one.item.patient, one.wanted, _consent(one.item)) for one in decided if one.contact == "created"]
    if new:
        await newcomers.create(unit, clinic_id, "patient", new)
    for one in decided:
        if one.contact == "changed" and one.item.body is not None:
            await enrolment.put_patient(unit, clinic_id, one.item.patient, one.item.body)
    await clinics.put_labels(unit, clinic_id, {one.item.patient: one.labels for one in decided})
    return decided


def _consent(item: Item) -> Mapping[str, Any] | None:
    return item.body.consent.model_dump() if item.body and item.body.consent else None
