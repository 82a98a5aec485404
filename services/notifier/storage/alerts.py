"""What the notifier keeps of alerts: their codes (a clinician texts one back), whether still open, and whose turn it is."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.notifier.storage.tables import open_alert
from shared.events.adherence import AlertEvent
from shared.messaging.unit import Unit


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


async def over(unit: Unit, alert_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these alerts are acknowledged or resolved."""
    if not alert_ids:
        return frozenset()
    wanted = open_alert.c.alert_id.in_(tuple(alert_ids)) & (open_alert.c.state != "open")
    return frozenset((await unit.conn.execute(select(open_alert.c.alert_id).where(wanted))).scalars())
