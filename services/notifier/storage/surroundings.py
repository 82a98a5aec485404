"""What holds around a group of texts, beside whom they go to: the channel, the switches, keys that are parked, alerts that
somebody has taken over, plans and what is on hold of them. One statement: most of these are mostly nothing, and asking costs more
than the answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.notifier.domain.gate import Switch
from services.notifier.storage import SERVICE, plans
from services.notifier.storage.plans import PlanState
from shared.db import typed_sql
from shared.messaging.unit import Unit

_IDS = ARRAY(Uuid())
_PLAN = slice(4, 4 + len(plans.COLUMNS))
_READ = typed_sql(
    SERVICE,
    "SELECT (SELECT probe_at FROM ~channel_incident WHERE cleared_at IS NULL) AS probe_at,"
    " (SELECT jsonb_object_agg(clinic_id, state) FROM ~switch WHERE clinic_id = ANY(:clinics)) AS switches,"
    " ARRAY(SELECT alert_id FROM ~open_alert WHERE alert_id = ANY(:alerts) AND state <> 'open') AS over,"
    # As `Unit.is_parked`, of many (a test compares them).
    " ARRAY(SELECT key FROM ~parked WHERE key = ANY(:patients) AND state IN ('parked', 'behind')"
    " UNION SELECT key FROM ~due_work WHERE key = ANY(:patients) AND state = 'parked') AS parked,"
    # A row a patient, one without where there is none.
    " who.id AS patient_id, p.plan_version, p.status, p.zone, p.texts_a_day,"
    " ARRAY(SELECT medication_id FROM ~asking_hold AS h WHERE h.patient_id = who.id AND h.held) AS held"
    " FROM (SELECT 1) AS one LEFT JOIN unnest(:patients) AS who(id) ON true LEFT JOIN ~plan_state AS p ON p.patient_id = who.id",
    columns=(
        *(("probe_at", DateTime(timezone=True)), ("switches", JSONB()), ("over", _IDS), ("parked", _IDS)),
        *((column.name, column.type) for column in plans.COLUMNS),
        ("held", _IDS),
    ),
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
    #: By patient; who has none is absent.
    plans: Mapping[UUID, PlanState]
    #: By patient, the medicines that are not asked for. A hold holds where no plan has been heard of yet.
    held: Mapping[UUID, frozenset[UUID]]


async def read(unit: Unit, *, patients: Collection[UUID], alerts: Collection[UUID], clinics: Collection[UUID]) -> Surroundings:
    values = {"patients": list(patients), "alerts": list(alerts), "clinics": list(clinics)}
    rows = (await unit.conn.execute(_READ, values)).all()
    row = rows[0]
    return Surroundings(
        probe_at=row.probe_at,
        switches={UUID(clinic): state for clinic, state in (row.switches or {}).items()},
        over=frozenset(row.over),
        parked=frozenset(row.parked),
        plans={each.patient_id: PlanState(*each[_PLAN]) for each in rows if each.plan_version is not None},
        held={each.patient_id: frozenset(each.held) for each in rows if each.held},
    )
