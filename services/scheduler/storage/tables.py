"""The scheduler's own tables. States are guarded here by CHECK and unique constraints, not by care (DESIGN.md 7).

Every `*_at` column is a clinical instant in UTC. What the clinic calls its patient and medicines is in `plan.names`, sealed; the
definition holds opaque ids only.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Date, DateTime, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.db import metadata_for

METADATA = metadata_for("scheduler")
_ID = UUID(as_uuid=True)
_AT = DateTime(timezone=True)

CLINIC = Table(
    "clinic",
    METADATA,
    Column("clinic_id", _ID, primary_key=True),
    Column("zone", Text),
    # {"breakfast": "08:00"}: where the day's times come from when a plan does not state them.
    Column("routine", JSONB, nullable=False),
    # The clinic's own values of shared/defaults.toml [scheduler].
    Column("numbers", JSONB, nullable=False),
    Column("updated_at", _AT, nullable=False),
)

PLAN = Table(
    "plan",
    METADATA,
    Column("patient_id", _ID, primary_key=True),
    Column("clinic_id", _ID, nullable=False),
    Column("plan_id", _ID, nullable=False, unique=True),
    Column("version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("zone", Text),
    # The plan as it stands, and the clinic's statement of it as it was put last (domain/merge.py).
    Column("definition", JSONB, nullable=False),
    Column("stated", JSONB, nullable=False),
    # Sealed: external ids, codes and names of medicines.
    Column("names", LargeBinary, nullable=False),
    # Medicines that nobody is asked to take: {medication id: {"version": n, "held": bool}} (asking-held, asking-resumed).
    Column("holds", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    # Occurrences are planned up to here.
    Column("horizon_at", _AT),
    # When the plan changes by itself next (ladder step, end of a course or pause).
    Column("next_change_at", _AT),
    Column("updated_at", _AT, nullable=False),
    CheckConstraint("version > 0", name="plan_version_positive"),
    CheckConstraint("status IN ('active', 'paused', 'stopped', 'completed')", name="plan_status"),
    Index("plan_by_clinic", "clinic_id"),
)

PLAN_VERSION = Table(
    "plan_version",
    METADATA,
    Column("patient_id", _ID, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("clinic_id", _ID, nullable=False),
    Column("event_id", _ID, nullable=False, unique=True),
    Column("event_type", Text, nullable=False),
    Column("at", _AT, nullable=False),
)

OCCURRENCE = Table(
    "occurrence",
    METADATA,
    Column("occurrence_id", _ID, primary_key=True),
    Column("patient_id", _ID, nullable=False),
    Column("clinic_id", _ID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("series_id", _ID, nullable=False),
    Column("slot_id", Text, nullable=False),
    Column("local_date", Date, nullable=False),
    Column("zone", Text, nullable=False),
    Column("due_at", _AT, nullable=False),
    Column("useful_until", _AT, nullable=False),
    Column("answer_until", _AT, nullable=False),
    Column("plan_version", Integer, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    # When it was said due last; and why it was withdrawn, expired or closed.
    Column("said_at", _AT),
    Column("reason", Text),
    UniqueConstraint("patient_id", "series_id", "slot_id", "local_date", name="occurrence_once"),
    CheckConstraint("state IN ('planned', 'said', 'sent', 'withdrawn', 'expired', 'closed')", name="occurrence_state"),
    CheckConstraint("state NOT IN ('withdrawn', 'expired', 'closed') OR reason IS NOT NULL", name="occurrence_says_why"),
    CheckConstraint("state NOT IN ('said', 'sent', 'withdrawn') OR said_at IS NOT NULL", name="occurrence_was_said"),
    CheckConstraint("useful_until <= answer_until AND due_at <= useful_until", name="occurrence_times_in_order"),
    Index("occurrence_planned", "patient_id", "due_at", postgresql_where=text("state = 'planned'")),
    Index("occurrence_said", "patient_id", postgresql_where=text("state = 'said'")),
    Index("occurrence_by_use", "patient_id", "useful_until"),
)
