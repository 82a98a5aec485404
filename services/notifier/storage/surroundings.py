"""What holds around a group of texts, beside whom they go to: the channel, the switches, keys that are parked, alerts that
somebody has taken over. One statement: each of these is mostly nothing, and asking costs more than the answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.notifier.domain.gate import Switch
from services.notifier.storage import SERVICE
from shared.db import typed_sql
from shared.messaging.unit import Unit

_IDS = ARRAY(Uuid())
_READ = typed_sql(
    SERVICE,
    "SELECT (SELECT probe_at FROM ~channel_incident WHERE cleared_at IS NULL) AS probe_at,"
    " (SELECT jsonb_object_agg(clinic_id, state) FROM ~switch WHERE clinic_id = ANY(:clinics)) AS switches,"
    " ARRAY(SELECT alert_id FROM ~open_alert WHERE alert_id = ANY(:alerts) AND state <> 'open') AS over,"
    # As `Unit.is_parked`, of many (a test compares them).
    " ARRAY(SELECT key FROM ~parked WHERE key = ANY(:patients) AND state IN ('parked', 'behind')"
    " UNION SELECT key FROM ~due_work WHERE key = ANY(:patients) AND state = 'parked') AS parked",
    columns=(("probe_at", DateTime(timezone=True)), ("switches", JSONB()), ("over", _IDS), ("parked", _IDS)),
    binds=tuple((name, _IDS) for name in ("clinics", "alerts", "patients")),
)


@dataclass(frozen=True)
class Surroundings:
    """`probe_at` None: the channel is well. A clinic without a switch of its own is absent from `switches`."""

    probe_at: datetime | None
    switches: Mapping[UUID, Switch]
    #: Alerts that are acknowledged or resolved.
    over: frozenset[UUID]
    #: Patients of whom an event or due work waits for a person (DESIGN.md rule 10).
    parked: frozenset[UUID]


async def read(unit: Unit, *, patients: Collection[UUID], alerts: Collection[UUID], clinics: Collection[UUID]) -> Surroundings:
    values = {"patients": list(patients), "alerts": list(alerts), "clinics": list(clinics)}
    row = (await unit.conn.execute(_READ, values)).one()
    switches = {UUID(clinic): state for clinic, state in (row.switches or {}).items()}
    return Surroundings(row.probe_at, switches, frozenset(row.over), frozenset(row.parked))
