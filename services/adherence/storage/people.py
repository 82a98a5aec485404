"""Clinics, patients as adherence knows them (plan and contact snapshots, care team), holds and incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, any_, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.alerts import Turn
from services.adherence.storage.tables import IDS, clinics, holds, incidents, patients, risks
from shared.errors import DomainError
from shared.events.messages import ChannelIncidentV1, ContactSnapshot
from shared.events.plans import PlanSnapshot
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Member:
    """A member of a chain: who, how long they have, and as what (None where the clinic did not say)."""

    person: UUID
    wait: timedelta
    role: str | None = None

    @property
    def turn(self) -> Turn:
        return Turn(self.person, self.wait)


@dataclass(frozen=True)
class Clinic:
    """`zone` UTC and no chain where the clinic has not been set up: then ops hears of every alert."""

    zone: str = "UTC"
    chain: tuple[Member, ...] = ()
    crisis_chain: tuple[Member, ...] = ()
    #: Its own, in place of the house's.
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """`chain` None: the clinic's. Versions are those of the newest plan and contact heard of, 0 = none."""

    id: UUID
    clinic_id: UUID
    chain: tuple[Member, ...] | None = None
    plan_version: int = 0
    plan: PlanSnapshot | None = None
    contact_version: int = 0
    contact: ContactSnapshot | None = None
    said: tuple[float, float] | None = None
    said_at: datetime | None = None


def _to_rows(chain: Sequence[Member]) -> list[dict[str, Any]]:
    return [{"person": str(each.person), "wait": each.wait.total_seconds(), "role": each.role} for each in chain]


def _to_chain(rows: Sequence[Mapping[str, Any]] | None) -> tuple[Member, ...]:
    return tuple(Member(UUID(row["person"]), timedelta(seconds=row["wait"]), row.get("role")) for row in rows or ())


_CLINIC = select(clinics).where(clinics.c.clinic_id == bindparam("wanted"))


async def clinic(unit: Unit, clinic_id: UUID) -> Clinic:
    row = (await unit.conn.execute(_CLINIC, {"wanted": clinic_id})).first()
    return Clinic() if row is None else Clinic(row.zone, _to_chain(row.chain), _to_chain(row.crisis_chain), row.numbers)


async def put_clinic(unit: Unit, clinic_id: UUID, one: Clinic) -> None:
    chains = {"chain": _to_rows(one.chain), "crisis_chain": _to_rows(one.crisis_chain)}
    values = {"zone": one.zone, **chains, "numbers": dict(one.numbers)}
    statement = insert(clinics).values(clinic_id=clinic_id, **values)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["clinic_id"], set_=values))


_PATIENTS = select(patients).where(patients.c.patient_id == any_(bindparam("wanted", type_=IDS)))


async def patient(unit: Unit, clinic_id: UUID, patient_id: UUID) -> Patient:
    """The patient, empty where nothing has been heard of them yet."""
    return (await patients_of(unit, {patient_id: clinic_id}))[patient_id]


async def patients_of(unit: Unit, clinics_of: Mapping[UUID, UUID]) -> dict[UUID, Patient]:
    """The patients whose clinics are given, each as `patient` finds it, in one question."""
    rows = await unit.conn.execute(_PATIENTS, {"wanted": list(clinics_of)})
    empty = {patient_id: Patient(patient_id, clinic_id) for patient_id, clinic_id in clinics_of.items()}
    return empty | {row.patient_id: _patient(row) for row in rows}


def _patient(row: Row[Any]) -> Patient:
    return Patient(
        row.patient_id,
        row.clinic_id,
        None if row.chain is None else _to_chain(row.chain),
        row.plan_version,
        None if row.plan is None else PlanSnapshot.model_validate(row.plan),
        row.contact_version,
        None if row.contact is None else ContactSnapshot.model_validate(row.contact),
        None if row.said_at is None else (row.said_low, row.said_high),
        row.said_at,
    )


async def _put(unit: Unit, clinic_id: UUID, patient_id: UUID, values: dict[str, Any]) -> None:
    statement = insert(patients).values(patient_id=patient_id, clinic_id=clinic_id, **values)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["patient_id"], set_=values))


async def known_or_new(unit: Unit, clinic_id: UUID, patient_id: UUID) -> Patient:
    """The patient of this clinic, or one nobody has heard of yet. DomainError 404 where the id is another clinic's."""
    found = await patient(unit, clinic_id, patient_id)
    if found.clinic_id != clinic_id:
        raise no_such_patient()
    return found


def no_such_patient() -> DomainError:
    """Another clinic's patient does not exist for this one."""
    return DomainError("patient", "there is no such patient", accepted="an id of a patient of this clinic", status=404)


async def put_chain(unit: Unit, clinic_id: UUID, patient_id: UUID, chain: Sequence[Member]) -> None:
    await _put(unit, clinic_id, patient_id, {"chain": _to_rows(chain)})


async def chains(unit: Unit, wanted: Collection[UUID]) -> dict[UUID, tuple[UUID, tuple[Member, ...] | None]]:
    """Clinic and own chain of those of the patients that are known, in one question."""
    of = patients.c
    rows = await unit.conn.execute(select(of.patient_id, of.clinic_id, of.chain).where(of.patient_id.in_(wanted)))
    return {row.patient_id: (row.clinic_id, None if row.chain is None else _to_chain(row.chain)) for row in rows}


async def put_chains(unit: Unit, clinic_id: UUID, wanted: Mapping[UUID, Sequence[Member]]) -> None:
    """As `put_chain`, for many patients in one statement."""
    if not wanted:
        return
    statement = insert(patients)
    upsert = statement.on_conflict_do_update(index_elements=["patient_id"], set_={"chain": statement.excluded.chain})
    rows = [{"patient_id": one, "clinic_id": clinic_id, "chain": _to_rows(chain)} for one, chain in wanted.items()]
    await unit.conn.execute(upsert, rows)


async def put_plan(unit: Unit, one: Patient, version: int, plan: PlanSnapshot) -> None:
    await _put(unit, one.clinic_id, one.id, {"plan_version": version, "plan": plan.model_dump(mode="json")})


async def put_contact(unit: Unit, one: Patient, version: int, contact: ContactSnapshot) -> None:
    await _put(unit, one.clinic_id, one.id, {"contact_version": version, "contact": contact.model_dump(mode="json")})


async def put_said(unit: Unit, one: Patient, low: float, high: float) -> None:
    await _put(unit, one.clinic_id, one.id, {"said_low": low, "said_high": high, "said_at": unit.now})


@dataclass(frozen=True)
class Hold:
    medication_id: UUID
    patient_id: UUID
    clinic_id: UUID
    version: int
    held: bool
    rule_set: str
    at: datetime


async def hold(unit: Unit, medication_id: UUID) -> Hold | None:
    row = (await unit.conn.execute(select(holds).where(holds.c.medication_id == medication_id))).first()
    if row is None:
        return None
    return Hold(row.medication_id, row.patient_id, row.clinic_id, row.version, row.state == "held", row.rule_set, row.at)


async def holds_of(unit: Unit, patient_id: UUID) -> list[UUID]:
    """Medicines of the patient that nobody asks about until a prescriber has decided."""
    statement = select(holds.c.medication_id).where(holds.c.patient_id == patient_id, holds.c.state == "held")
    return list((await unit.conn.execute(statement)).scalars())


async def put_hold(unit: Unit, one: Hold) -> None:
    values = {"version": one.version, "state": "held" if one.held else "resumed", "rule_set": one.rule_set, "at": one.at}
    statement = insert(holds).values(
        medication_id=one.medication_id, patient_id=one.patient_id, clinic_id=one.clinic_id, **values
    )
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["medication_id"], set_=values))


async def put_incident(unit: Unit, event: ChannelIncidentV1) -> None:
    """Either end of an incident, whichever is heard first."""
    end = {"opened_at" if event.state == "opened" else "cleared_at": event.at}
    statement = insert(incidents).values(incident_id=event.incident_id, clinic_id=event.clinic_id, **end)
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=["incident_id"], set_=end))


async def put_risk(unit: Unit, clinic_id: UUID, patient_id: UUID, reply_id: UUID) -> None:
    statement = insert(risks).values(reply_id=reply_id, patient_id=patient_id, clinic_id=clinic_id)
    await unit.conn.execute(statement.on_conflict_do_nothing())


async def is_risk(unit: Unit, reply_id: UUID) -> bool:
    return (await unit.conn.execute(select(risks.c.reply_id).where(risks.c.reply_id == reply_id))).first() is not None
