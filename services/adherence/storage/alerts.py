"""Alert rows: one open alert per cause, one code per clinic, versions that only rise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.domain.alerts import Alert, Chain, Turn
from services.adherence.domain.codes import codes_for
from services.adherence.storage.tables import alerts
from shared.errors import Transient
from shared.messaging.unit import Unit

#: As text: with a bind parameter PostgreSQL no longer finds the partial index once it plans the statement generically.
_UNRESOLVED = text("state <> 'resolved'")
#: Codes tried before giving up for now: with half of all codes taken, 40 tries fail once in 10^12.
_TRIES = 40


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
        statement = insert(alerts).values(**values, code=code)
        free = statement.on_conflict_do_nothing(index_elements=["clinic_id", "code"], index_where=_UNRESOLVED).returning(
            alerts.c.code
        )
        if (await unit.conn.execute(free)).first() is not None:
            return code
    raise Transient


async def save(unit: Unit, alert: Alert, by: UUID | None = None) -> None:
    values = _moving(alert)
    if alert.state == "acknowledged":
        values |= {"acknowledged_at": unit.now, "acknowledged_by": by}
    if alert.state == "resolved":
        values |= {"resolved_at": unit.now}
    await unit.conn.execute(update(alerts).where(alerts.c.alert_id == alert.id).values(**values))


async def owner(unit: Unit, alert_id: UUID) -> tuple[UUID, UUID] | None:
    """(clinic, patient) of an alert: whose lock to take before it is read."""
    row = (await unit.conn.execute(select(alerts.c.clinic_id, alerts.c.patient_id).where(alerts.c.alert_id == alert_id))).first()
    return None if row is None else (row.clinic_id, row.patient_id)


async def get(unit: Unit, alert_id: UUID) -> Alert | None:
    row = (await unit.conn.execute(select(alerts).where(alerts.c.alert_id == alert_id).with_for_update())).first()
    return None if row is None else alert_of(row)


async def unresolved(unit: Unit, clinic_id: UUID, dedup_key: str) -> list[Alert]:
    """The alerts of a cause that are open or acknowledged; an open one first."""
    statement = select(alerts).where(
        alerts.c.clinic_id == clinic_id, alerts.c.dedup_key == dedup_key, alerts.c.state != "resolved"
    )
    found = [alert_of(row) for row in await unit.conn.execute(statement.order_by(alerts.c.raised_at))]
    return sorted(found, key=lambda alert: alert.state != "open")
