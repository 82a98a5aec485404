"""Plan rows: the plan as it stands, the statement it was put with, and what the clinic calls things (sealed)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Row, Select, any_, bindparam, select, update
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scheduler.domain import identity
from services.scheduler.domain.plan import Plan
from services.scheduler.storage import definition
from services.scheduler.storage.tables import CLINIC, PLAN, PLAN_VERSION
from shared.crypto import FieldCipher
from shared.messaging import parking


@dataclass(frozen=True)
class Names:
    """What the clinic calls things. Leaves this service only in answers to the clinic itself."""

    #: The patient's external id, by which the ids of their medicines were derived; None where only ours was ever used.
    patient: str | None = None
    #: Medication id -> {"id", "system", "code", "display"}.
    medicines: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    #: Our id of any other element -> the clinic's.
    elements: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """A plan as it stands: what a firing needs of a row. `holds` are medicines that nobody is asked to take."""

    clinic_id: UUID
    plan: Plan
    holds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    horizon_at: datetime | None = None
    next_change_at: datetime | None = None
    #: The clinic's own numbers (numbers.py), and whether an event or due work of this key waits for a person.
    numbers: Mapping[str, Any] = field(default_factory=dict)
    parked: bool = False

    @property
    def held(self) -> frozenset[str]:
        return frozenset(medicine for medicine, hold in self.holds.items() if hold["held"])


@dataclass(frozen=True, kw_only=True)
class Stored(Standing):
    """One whole plan row, as it can be saved again. `stated` is the statement put last and `names` are sealed: both are opened
    only by who needs them."""

    stated: Mapping[str, Any]
    names: bytes


def seal_names(names: Names, cipher: FieldCipher, patient_id: UUID) -> bytes:
    whole = {"patient": names.patient, "medicines": names.medicines, "elements": names.elements}
    return cipher.seal(json.dumps(whole), table="plan", column="names", row=patient_id)


def open_names(row: Stored, cipher: FieldCipher) -> Names:
    return Names(**json.loads(cipher.open(row.names, table="plan", column="names", row=row.plan.patient_id)))


#: The rows of a list of patients that goes along as one parameter: one prepared statement for lists of any length.
_AMONG = PLAN.c.patient_id == any_(bindparam("patients", type_=ARRAY(PLAN.c.patient_id.type)))


async def standing(conn: AsyncConnection, patient_ids: Iterable[UUID]) -> dict[UUID, Standing]:
    """As `load`, without the statement and the names: each as long as the plan, and no firing asks for them."""
    rows = (await conn.execute(_STANDING, {"patients": list(set(patient_ids))})).all()
    return {row.patient_id: Standing(**_read(row)) for row in rows}


async def load(conn: AsyncConnection, patient_ids: Iterable[UUID]) -> dict[UUID, Stored]:
    """The plans of these patients; who has none is absent."""
    rows = (await conn.execute(_LOAD, {"patients": list(set(patient_ids))})).all()
    return {row.patient_id: Stored(**_read(row), stated=row.stated, names=row.names) for row in rows}


def _reading(*more: Column[Any]) -> Select[Any]:
    """Everything that a firing needs to know of a patient, in one question."""
    of = PLAN.c
    columns = (of.patient_id, of.clinic_id, of.definition, of.holds, of.horizon_at, of.next_change_at, CLINIC.c.numbers, *more)
    parked = parking.waits_for_a_person("scheduler", PLAN.c.patient_id).label("parked")
    joined = PLAN.outerjoin(CLINIC, CLINIC.c.clinic_id == PLAN.c.clinic_id)
    return select(*columns, parked).select_from(joined).where(_AMONG)


_STANDING, _LOAD = _reading(), _reading(PLAN.c.stated, PLAN.c.names)


def _read(row: Row[Any]) -> dict[str, Any]:
    return {
        "clinic_id": row.clinic_id,
        "plan": definition.from_json(row.definition),
        "holds": row.holds,
        "horizon_at": row.horizon_at,
        "next_change_at": row.next_change_at,
        "numbers": row.numbers or {},
        "parked": row.parked,
    }


def _upsert() -> Insert:
    statement = insert(PLAN)
    kept = ("patient_id", "plan_id", "clinic_id")
    changes = {column.name: statement.excluded[column.name] for column in PLAN.c if column.name not in kept}
    return statement.on_conflict_do_update(index_elements=["patient_id"], set_=changes)


_UPSERT = _upsert()


async def save(conn: AsyncConnection, rows: Sequence[Stored], now: datetime) -> None:
    """Writes whole rows, new or known, in one statement."""
    if rows:
        await conn.execute(_UPSERT, [_values(row, now) for row in rows])


def _values(row: Stored, now: datetime) -> dict[str, Any]:
    plan = row.plan
    return {
        "patient_id": plan.patient_id,
        "clinic_id": row.clinic_id,
        "plan_id": identity.plan_id(plan.patient_id),
        "version": plan.version,
        "status": plan.status,
        "zone": plan.zone,
        "definition": definition.to_json(plan),
        "stated": dict(row.stated),
        "names": row.names,
        "holds": dict(row.holds),
        "horizon_at": row.horizon_at,
        "next_change_at": row.next_change_at,
        "updated_at": now,
    }


_MOVE_HORIZONS = update(PLAN).where(_AMONG).values(horizon_at=bindparam("until"))


async def move_horizons(conn: AsyncConnection, patient_ids: Sequence[UUID], until: datetime) -> None:
    """Occurrences of these patients are planned that far now."""
    if patient_ids:
        await conn.execute(_MOVE_HORIZONS, {"patients": patient_ids, "until": until})


@dataclass(frozen=True)
class Version:
    """One version of a plan and the event that said it."""

    patient_id: UUID
    version: int
    clinic_id: UUID
    event_id: UUID
    event_type: str
    at: datetime


async def add_versions(conn: AsyncConnection, versions: Sequence[Version]) -> None:
    if versions:
        await conn.execute(insert(PLAN_VERSION), [vars(one) for one in versions])


async def version_of(conn: AsyncConnection, patient_id: UUID, version: int) -> Version | None:
    """When and by which event a version was said."""
    found = select(PLAN_VERSION).where(PLAN_VERSION.c.patient_id == patient_id, PLAN_VERSION.c.version == version)
    row = (await conn.execute(found)).mappings().first()
    return Version(**row) if row else None
