"""What the notifier keeps of alerts: their codes (a clinician texts one back), whether still open, and whose turn it is."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert

from services.notifier.storage.tables import open_alert
from shared.events.adherence import AlertEvent
from shared.messaging.unit import Unit

#: Whose alert it is never changes.
_FIXED = frozenset({"alert_id", "clinic_id", "patient_id"})
_NEW = insert(open_alert)
_KEEP = _NEW.on_conflict_do_update(
    index_elements=["alert_id"],
    set_={column.name: _NEW.excluded[column.name] for column in open_alert.c if column.name not in _FIXED},
    where=open_alert.c.alert_version < _NEW.excluded.alert_version,
).returning(open_alert.c.alert_id)


async def keep(unit: Unit, event: AlertEvent) -> bool:
    """Keeps the snapshot where it is newer than what is kept; whether it was."""
    alert = event.alert
    values = {
        "alert_id": alert.alert_id,
        "clinic_id": event.clinic_id,
        "patient_id": event.patient_id,
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
    return (await unit.conn.execute(_KEEP, values)).one_or_none() is not None
