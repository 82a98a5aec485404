"""Alert rows: one open alert per cause, one code per clinic, versions that only rise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Text, any_, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.alerts import Alert, Chain, Turn
from services.adherence.domain.codes import codes_for
from services.adherence.storage.tables import IDS, alerts
from shared.errors import Transient
from shared.messaging.unit import Unit

#: As text: with a bind parameter PostgreSQL no longer finds the partial index once it plans the statement generically.
_UNRESOLVED = text("state <> 'resolved'")
#: Codes tried before giving up for now: with half of all codes taken, 40 tries fail once in 10^12.
_TRIES = 40

# Made once: making a statement costs as much as running it.
_ADD = (
    insert(alerts).on_conflict_do_nothing(index_elements=["clinic_id", "code"], index_where=_UNRESOLVED).returning(alerts.c.code)
)
_SAVE = update(alerts).where(alerts.c.alert_id == bindparam("wanted"))
_OWNER = select(alerts.c.clinic_id, alerts.c.patient_id).where(alerts.c.alert_id == bindparam("wanted"))
_HELD = select(alerts).where(alerts.c.alert_id == any_(bindparam("wanted", type_=IDS))).order_by(alerts.c.alert_id)
_HELD = _HELD.with_for_update()
_OF_CAUSES = (
    select(alerts)
    .where(
        alerts.c.clinic_id == any_(bindparam("clinics", type_=IDS)),
        alerts.c.dedup_key == any_(bindparam("keys", type_=ARRAY(Text))),
        _UNRESOLVED,
    )
    .order_by(alerts.c.raised_at)
)


def _rows(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    return [{"person": str(turn.person), "wait": turn.wait.total_seconds()} for turn in turns]


def _turns(rows: Sequence[dict[str, Any]]) -> tuple[Turn, ...]:
    return tuple(Turn(UUID(row["person"]), timedelta(seconds=row["wait"])) for row in rows)


def chain_row(chain: Chain) -> dict[str, Any]:
    return {"people": _rows(chain.people), "on_call": _rows(chain.on_call)}


def alert_of(row: Row[Any]) -> Alert:
    return Alert(
        id=row.alert_id,
        kind=row.kind,
        severity=row.severity,
        dedup_key=row.dedup_key,
        chain=Chain(_turns(row.chain["people"]), _turns(row.chain["on_call"])),
        raised_at=row.raised_at,
        state=row.state,
        code=row.code,
        step=row.step,
        recipient=row.recipient_id,
        deadline_at=row.deadline_at,
        version=row.version,
        occurrence_id=row.occurrence_id,
        no_text_possible=row.no_text_possible,
    )


def _moving(alert: Alert) -> dict[str, Any]:
    """What of a row changes while the alert runs. The chain is not among it: it is a snapshot."""
    return {
        "state": alert.state,
        "step": alert.step,
        "recipient_id": alert.recipient,
        "deadline_at": alert.deadline_at,
        "no_text_possible": alert.no_text_possible,
        "version": alert.version,
    }


async def add(unit: Unit, clinic_id: UUID, patient_id: UUID, alert: Alert) -> str:
    """Inserts it under the first free code of the clinic, which is returned. Raises Transient where none was found free."""
    values = _moving(alert) | {
        "alert_id": alert.id,
        "clinic_id": clinic_id,
        "patient_id": patient_id,
        "kind": alert.kind,
        "severity": alert.severity,
        "dedup_key": alert.dedup_key,
        "chain": chain_row(alert.chain),
        "raised_at": alert.raised_at,
        "occurrence_id": alert.occurrence_id,
    }
    for _try, code in zip(range(_TRIES), codes_for(alert.id), strict=False):
        if (await unit.conn.execute(_ADD, values | {"code": code})).first() is not None:
            return code
    raise Transient


async def save(unit: Unit, alert: Alert, by: UUID | None = None) -> None:
    values = _moving(alert)
    if alert.state == "acknowledged":
        values |= {"acknowledged_at": unit.now, "acknowledged_by": by}
    if alert.state == "resolved":
        values |= {"resolved_at": unit.now}
    await unit.conn.execute(_SAVE, {"wanted": alert.id} | values)


async def owner(unit: Unit, alert_id: UUID) -> tuple[UUID, UUID] | None:
    """(clinic, patient) of an alert: whose lock to take before it is read."""
    row = (await unit.conn.execute(_OWNER, {"wanted": alert_id})).first()
    return None if row is None else (row.clinic_id, row.patient_id)


async def get(unit: Unit, alert_id: UUID) -> Alert | None:
    found = (await held(unit, [alert_id])).get(alert_id)
    return None if found is None else found[2]


async def held(unit: Unit, wanted: Sequence[UUID]) -> dict[UUID, tuple[UUID, UUID, Alert]]:
    """(clinic, patient, alert) of each that exists, the rows held to the end of the transaction. The caller holds the patients'
    locks."""
    rows = await unit.conn.execute(_HELD, {"wanted": list(wanted)})
    return {row.alert_id: (row.clinic_id, row.patient_id, alert_of(row)) for row in rows}


async def unresolved(unit: Unit, clinic_id: UUID, dedup_key: str) -> list[Alert]:
    """The alerts of a cause that are open or acknowledged; an open one first."""
    return (await unresolved_of(unit, {dedup_key: clinic_id}))[dedup_key]


async def unresolved_of(unit: Unit, clinics_of: Mapping[str, UUID]) -> dict[str, list[Alert]]:
    """By cause, whose clinics are given: what `unresolved` finds, in one question."""
    wanted = {"clinics": list(set(clinics_of.values())), "keys": list(clinics_of)}
    found: dict[str, list[Alert]] = {key: [] for key in clinics_of}
    for row in await unit.conn.execute(_OF_CAUSES, wanted):
        if clinics_of[row.dedup_key] == row.clinic_id:
            found[row.dedup_key].append(alert_of(row))
    return {key: sorted(each, key=lambda alert: alert.state != "open") for key, each in found.items()}
