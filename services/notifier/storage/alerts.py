"""What the notifier keeps of alerts: their codes (a clinician texts one back), whether still open, and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert

from services.notifier.storage.tables import open_alert
from shared.events.adherence import AlertEvent
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class KnownAlert:
    """An alert as last heard. `patient_id` is whom it is about, `recipient_id` whose turn it is."""

    alert_id: UUID
    clinic_id: UUID
    patient_id: UUID | None
    alert_version: int
    code: str
    kind: str
    severity: str
    state: str
    dedup_key: str
    recipient_id: UUID | None
    step: int
    raised_at: datetime
    no_text_possible: bool


_COLUMNS = [open_alert.c[field.name] for field in fields(KnownAlert)]


def _of(row: Row[Any]) -> KnownAlert:
    return KnownAlert(**row._mapping)


async def keep(unit: Unit, event: AlertEvent) -> bool:
    """Keeps the snapshot where it is newer than what is kept; whether it was."""
    alert = event.alert
    values = {
        "alert_version": event.alert_version,
        "code": alert.code,
        "kind": alert.kind,
        "severity": alert.severity,
        "state": alert.state,
        "dedup_key": alert.dedup_key,
        "recipient_id": alert.recipient_id,
        "step": alert.step,
        "raised_at": alert.raised_at,
        "no_text_possible": alert.no_text_possible,
    }
    statement = insert(open_alert).values(
        alert_id=alert.alert_id, clinic_id=event.clinic_id, patient_id=event.patient_id, **values
    )
    newer = open_alert.c.alert_version < statement.excluded.alert_version
    upsert = statement.on_conflict_do_update(index_elements=["alert_id"], set_=values, where=newer)
    return (await unit.conn.execute(upsert.returning(open_alert.c.alert_id))).one_or_none() is not None


async def by_code(unit: Unit, clinic_id: UUID, code: str) -> KnownAlert | None:
    """The clinic's alert of a code (any case): an open one before an acknowledged one, the newest first; None where there is
    none that is not resolved."""
    wanted = (open_alert.c.clinic_id == clinic_id) & (func.upper(open_alert.c.code) == code.strip().upper())
    statement = select(*_COLUMNS).where(wanted, open_alert.c.state != "resolved")
    order = (open_alert.c.state == "acknowledged", open_alert.c.raised_at.desc())
    row = (await unit.conn.execute(statement.order_by(*order).limit(1))).one_or_none()
    return None if row is None else _of(row)


async def by_dedup_key(unit: Unit, clinic_id: UUID, dedup_key: str) -> KnownAlert | None:
    """The newest alert under a dedup key, whatever its state."""
    wanted = (open_alert.c.clinic_id == clinic_id) & (open_alert.c.dedup_key == dedup_key)
    row = (
        await unit.conn.execute(select(*_COLUMNS).where(wanted).order_by(open_alert.c.raised_at.desc()).limit(1))
    ).one_or_none()
    return None if row is None else _of(row)


async def get(unit: Unit, alert_id: UUID) -> KnownAlert | None:
    row = (await unit.conn.execute(select(*_COLUMNS).where(open_alert.c.alert_id == alert_id))).one_or_none()
    return None if row is None else _of(row)
