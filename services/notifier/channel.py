"""The SMS channel as a whole. When the account is refused, or nobody answers at all, that is one incident, not a failure of each
text: the circuit opens, nothing is consumed, ops and the other services hear once. One text a minute then tries again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from services.notifier.storage import clinics
from services.notifier.storage.tables import channel_incident
from shared.defaults import default
from shared.events.base import stable_id
from shared.events.messages import ChannelIncidentV1
from shared.messaging.unit import Unit
from shared.ops import ops_say

_PROBE: timedelta = default("notifier", "channel_probe")
_PROBE_AT = select(channel_incident.c.probe_at).where(channel_incident.c.cleared_at.is_(None))
_CLEAR = (
    update(channel_incident)
    .where(channel_incident.c.cleared_at.is_(None))
    .values(cleared_at=bindparam("now"))
    .returning(channel_incident.c.id, channel_incident.c.clinic_id, channel_incident.c.reason)
)


async def probe_at(unit: Unit) -> datetime | None:
    """None while the channel is well; else the instant from which one text may try (the circuit is half open)."""
    found = await unit.conn.execute(_PROBE_AT)
    at: datetime | None = found.scalar_one_or_none()
    return at


async def failed(unit: Unit, clinic_id: UUID, reason: str, code: int | None = None) -> None:
    """The channel is down: opens the incident, or puts off the next try of the one that is open."""
    again = unit.now + _PROBE
    new = uuid4()
    values = {"id": new, "clinic_id": clinic_id, "reason": reason, "error_code": code, "opened_at": unit.now, "probe_at": again}
    opened = await unit.conn.execute(
        insert(channel_incident).values(**values).on_conflict_do_nothing().returning(channel_incident.c.id)
    )
    if opened.scalar_one_or_none() is None:
        await try_later(unit)
        return
    await _say(unit, clinic_id, new, reason, opened=True)
    details: dict[str, str | int] = {"reason": reason} if code is None else {"reason": reason, "code": code}
    await ops_say(unit, "channel-down", details, dedup=f"channel-down/{new}")


async def try_later(unit: Unit) -> None:
    """Nothing learnt: the next try of an open incident is put off."""
    open_one = channel_incident.c.cleared_at.is_(None)
    await unit.conn.execute(update(channel_incident).where(open_one).values(probe_at=unit.now + _PROBE))


async def works(unit: Unit) -> None:
    """The provider has taken a text: an open incident is over."""
    row = (await unit.conn.execute(_CLEAR, {"now": unit.now})).one_or_none()
    if row is not None:
        await _say(unit, row.clinic_id, row.id, row.reason, opened=False)
        await ops_say(unit, "channel-well", {"reason": row.reason}, dedup=f"channel-well/{row.id}")


async def _say(unit: Unit, noticed_by: UUID, incident: UUID, reason: str, *, opened: bool) -> None:
    """To every clinic: they all text through the one account. Each hears of an incident of its own."""
    state: Literal["opened", "cleared"] = "opened" if opened else "cleared"
    for clinic_id in sorted({noticed_by, *await clinics.ids(unit)}):
        own = stable_id(incident, clinic_id)
        event = ChannelIncidentV1(clinic_id=clinic_id, incident_id=own, state=state, at=unit.now, reason=reason)
        unit.emit(event, event_id=stable_id(own, state))
