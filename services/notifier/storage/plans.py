"""What the notifier keeps of a plan: the last version heard, status, zone, fullest day, and which medicines are on hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from services.notifier.storage.tables import asking_hold, plan_state
from shared.events.adherence import HoldEvent
from shared.events.plans import PlanEvent
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class PlanState:
    """The last version of a patient's plan that this service has heard. `zone` is IANA, None while not known."""

    patient_id: UUID
    plan_version: int
    status: str
    zone: str | None
    texts_a_day: int


_IDS = ARRAY(plan_state.c.patient_id.type)
#: In the order of `PlanState`.
COLUMNS = [plan_state.c[field.name] for field in fields(PlanState)]
_STATES = select(*COLUMNS).where(plan_state.c.patient_id == any_(bindparam("patients", type_=_IDS)))


async def keep(unit: Unit, event: PlanEvent) -> bool:
    """Keeps the snapshot where it is newer than what is kept; whether it was. An older one changes nothing."""
    values = {
        "plan_version": event.plan_version,
        "status": event.plan.status,
        "zone": event.plan.zone,
        "texts_a_day": event.plan.texts_a_day,
        "changed_at": unit.now,
    }
    statement = insert(plan_state).values(patient_id=event.patient_id, clinic_id=event.clinic_id, **values)
    newer = plan_state.c.plan_version < statement.excluded.plan_version
    upsert = statement.on_conflict_do_update(index_elements=["patient_id"], set_=values, where=newer)
    return (await unit.conn.execute(upsert.returning(plan_state.c.patient_id))).one_or_none() is not None


async def states(unit: Unit, patients: Collection[UUID]) -> Mapping[UUID, PlanState]:
    """The kept states of these patients; who has none is absent."""
    if not patients:
        return {}
    rows = await unit.conn.execute(_STATES, {"patients": list(patients)})
    return {row.patient_id: PlanState(*row) for row in rows}


async def hold(unit: Unit, event: HoldEvent, *, held: bool) -> None:
    """Nobody asks to take a held medicine (rule 4). An older hold version changes nothing."""
    values = {"hold_version": event.hold_version, "held": held}
    statement = insert(asking_hold).values(
        patient_id=event.patient_id, medication_id=event.medication_id, clinic_id=event.clinic_id, **values
    )
    newer = asking_hold.c.hold_version < statement.excluded.hold_version
    key = ["patient_id", "medication_id"]
    await unit.conn.execute(statement.on_conflict_do_update(index_elements=key, set_=values, where=newer))
