"""The tables of the adherence service. Illegal states are refused here, not by care: CHECKs and partial unique indexes.

No free text, name, number, medicine name or code has a column. Every row bears its clinic. Instants are clinical time, UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID
from sqlalchemy.sql.schema import SchemaItem

from shared.db import metadata_for

metadata = metadata_for("adherence")

_UUID = UUID(as_uuid=True)
#: Of a bind parameter that holds many ids: `= ANY` serves all lengths with one prepared statement.
IDS = ARRAY(_UUID)
_INSTANT = DateTime(timezone=True)
_SLUG = "~ '^[a-z0-9][a-z0-9-]{0,63}$'"
_WHY = "('not-asked', 'not-delivered', 'delivered-but-silent', 'record-incomplete')"


def _table(name: str, *columns: SchemaItem) -> Table:
    """A table whose rows each bear their clinic."""
    return Table(name, metadata, Column("clinic_id", _UUID, nullable=False), *columns)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("false"))


#: The clinic's zone, its default chain (which is its on-call) and its crisis chain: [{"person", "wait" (seconds), "role"}].
clinics = Table(
    "clinic",
    metadata,
    Column("clinic_id", _UUID, primary_key=True),
    Column("zone", Text, nullable=False),
    Column("chain", JSONB, nullable=False),
    Column("crisis_chain", JSONB),
    # The clinic's own numbers in place of defaults.toml [adherence].
    Column("numbers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    CheckConstraint("jsonb_typeof(chain) = 'array'", name="clinic_chain_is_a_list"),
)

#: One row a patient heard of: care team (NULL: the clinic's chain), newest plan and contact, adherence as last said.
patients = _table(
    "patient",
    Column("patient_id", _UUID, primary_key=True),
    Column("chain", JSONB),
    Column("plan_version", Integer, nullable=False, server_default=text("0")),
    Column("plan", JSONB),
    Column("contact_version", Integer, nullable=False, server_default=text("0")),
    Column("contact", JSONB),
    Column("said_low", Float),
    Column("said_high", Float),
    Column("said_at", _INSTANT),
    CheckConstraint("chain IS NULL OR jsonb_typeof(chain) = 'array'", name="patient_chain_is_a_list"),
    CheckConstraint("(plan_version = 0) = (plan IS NULL)", name="patient_plan_whole"),
    CheckConstraint("(contact_version = 0) = (contact IS NULL)", name="patient_contact_whole"),
    CheckConstraint("0 <= said_low AND said_low <= said_high AND said_high <= 1", name="patient_range"),
    CheckConstraint(
        "(said_low IS NULL) = (said_at IS NULL) AND (said_high IS NULL) = (said_at IS NULL)", name="patient_said_whole"
    ),
)

#: Doses and check-ins, and what is said of each. `due_version` 0: never said due, it expired.
occurrences = _table(
    "occurrence",
    Column("occurrence_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("series_id", _UUID),
    Column("local_date", Date, nullable=False),
    Column("due_version", Integer, nullable=False),
    Column("due_at", _INSTANT, nullable=False),
    Column("answer_until", _INSTANT, nullable=False),
    Column("medication_ids", ARRAY(_UUID), nullable=False, server_default=text("'{}'")),
    Column("instrument", Text),
    Column("item", Text),
    _flag("closed"),
    _flag("incomplete"),
    _flag("channel_down"),
    _flag("acknowledged"),
    Column("clarified", Integer, nullable=False, server_default=text("0")),
    Column("state", Text, nullable=False, server_default=text("'expected'")),
    Column("why", Text),
    _flag("late"),
    Column("reason", Text),
    Column("outcome_at", _INSTANT),
    # Check-ins: the scores said so far, by item.
    Column("scores", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    CheckConstraint(
        "(kind = 'dose' AND state IN ('expected', 'taken', 'skipped', 'missed', 'unknown', 'withdrawn'))"
        " OR (kind = 'check-in' AND state IN ('expected', 'answered', 'missed', 'unasked', 'withdrawn'))",
        name="occurrence_state",
    ),
    CheckConstraint(f"why IN {_WHY}", name="occurrence_why"),
    CheckConstraint("(why IS NOT NULL) = (state IN ('unknown', 'unasked'))", name="occurrence_unknown_says_why"),
    # Silence is never missed: a check-in is missed only once its window has closed, a dose only where somebody said so.
    CheckConstraint("NOT (kind = 'check-in' AND state = 'missed') OR closed", name="occurrence_missed_after_its_window"),
    CheckConstraint("NOT (state = 'missed' AND incomplete AND kind = 'check-in')", name="occurrence_incomplete_is_not_missed"),
    CheckConstraint(
        "(kind = 'check-in') = (instrument IS NOT NULL) AND (instrument IS NULL) = (item IS NULL)", name="occurrence_asks"
    ),
    CheckConstraint("closed OR NOT (incomplete OR channel_down)", name="occurrence_closing"),
    CheckConstraint("due_at <= answer_until AND revision >= 0 AND due_version >= 0", name="occurrence_times"),
    CheckConstraint(f"reason {_SLUG}", name="occurrence_reason_is_a_slug"),
    Index("occurrence_by_patient", "patient_id", "kind", "due_at"),
    Index("occurrence_by_series", "series_id", "due_at"),
)

#: Every fact about an occurrence, kept as it came, before its due event too. Append-only: `fact_id` is the event's own id.
facts = _table(
    "occurrence_fact",
    Column("fact_id", _UUID, primary_key=True),
    Column("occurrence_id", _UUID, nullable=False),
    Column("patient_id", _UUID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", _INSTANT, nullable=False),
    Column("value", Text),
    Column("reason", Text),
    Column("score", Integer),
    Column("item", Text),
    Column("version", Integer, nullable=False, server_default=text("0")),
    CheckConstraint(
        "kind IN ('sent', 'delivered', 'undelivered', 'unconfirmed', 'unconfirmed-final', 'withheld', 'answer', 'correction',"
        " 'withdrawn', 'expired')",
        name="occurrence_fact_kind",
    ),
    CheckConstraint(f"value {_SLUG} AND reason {_SLUG} AND item {_SLUG}", name="occurrence_fact_holds_no_text"),
    Index("occurrence_fact_by_occurrence", "occurrence_id"),
)

#: What was said of an occurrence, revision by revision. A later answer adds a row; no row ever changes.
history = _table(
    "outcome_history",
    Column("occurrence_id", _UUID, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("why", Text),
    Column("late", Boolean, nullable=False),
    Column("at", _INSTANT, nullable=False),
    Column("said_at", _INSTANT, nullable=False),
    CheckConstraint("revision >= 1", name="outcome_history_counts"),
)

#: Questions of a running conversation that were asked for, so that an answer finds its item.
requests = _table(
    "request",
    Column("request_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("occurrence_id", _UUID),
    Column("item", Text, nullable=False),
)

follow_ups = _table(
    "follow_up",
    Column("follow_up_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("occurrence_id", _UUID),
    Column("due_on", Date),
    Column("deadline_at", _INSTANT, nullable=False),
    _flag("deadline_passed"),
    Column("expected", Boolean, nullable=False, server_default=text("true")),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("source", Text),
    Column("outcome_at", _INSTANT),
    CheckConstraint("state IN ('pending', 'kept', 'missed', 'unrecorded', 'withdrawn')", name="follow_up_state"),
    CheckConstraint("source IN ('person', 'appointment', 'patient')", name="follow_up_source"),
    # Never missed by silence: kept and missed name whose word it is.
    CheckConstraint("(state IN ('kept', 'missed')) = (source IS NOT NULL)", name="follow_up_outcome_has_a_source"),
    CheckConstraint("state <> 'unrecorded' OR deadline_passed", name="follow_up_unrecorded_after_its_deadline"),
    Index("follow_up_by_patient", "patient_id"),
    Index("follow_up_unrecorded", "clinic_id", postgresql_where=text("state = 'unrecorded'")),
    Index("follow_up_by_occurrence", "occurrence_id", postgresql_where=text("occurrence_id IS NOT NULL")),
)

#: Somebody's word on a follow-up. Append-only.
words = _table(
    "follow_up_word",
    Column("word_id", _UUID, primary_key=True),
    Column("follow_up_id", _UUID, nullable=False),
    Column("source", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("at", _INSTANT, nullable=False),
    CheckConstraint("source IN ('person', 'appointment', 'patient')", name="follow_up_word_source"),
    CheckConstraint("outcome IN ('kept', 'missed')", name="follow_up_word_outcome"),
    Index("follow_up_word_by_follow_up", "follow_up_id"),
)

alerts = _table(
    "alert",
    Column("alert_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("dedup_key", Text, nullable=False),
    Column("code", Text, nullable=False),
    # The chain as it was when it was raised: {"people": [...], "on_call": [...]}.
    Column("chain", JSONB, nullable=False),
    Column("step", Integer, nullable=False),
    Column("recipient_id", _UUID),
    Column("deadline_at", _INSTANT),
    Column("raised_at", _INSTANT, nullable=False),
    Column("occurrence_id", _UUID),
    _flag("no_text_possible"),
    Column("version", Integer, nullable=False),
    Column("acknowledged_at", _INSTANT),
    Column("acknowledged_by", _UUID),
    Column("resolved_at", _INSTANT),
    CheckConstraint("severity IN ('low', 'high', 'crisis')", name="alert_severity"),
    CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name="alert_state"),
    CheckConstraint("code ~ '^[A-HJKM-NP-Z][2-9][A-HJKM-NP-Z][2-9]$'", name="alert_code_cannot_be_misread"),
    # Acknowledged stops all pages for good: nothing is left to page by.
    CheckConstraint("state = 'open' OR deadline_at IS NULL", name="alert_pages_only_while_open"),
    CheckConstraint("state <> 'open' OR severity = 'low' OR deadline_at IS NOT NULL", name="alert_high_never_rests_unheard"),
    CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="alert_resolved_whole"),
    CheckConstraint("step >= 0 AND version >= 1", name="alert_counts_up"),
    Index("alert_one_open_per_cause", "clinic_id", "dedup_key", unique=True, postgresql_where=text("state = 'open'")),
    Index("alert_one_code", "clinic_id", "code", unique=True, postgresql_where=text("state <> 'resolved'")),
    Index("alert_by_patient", "patient_id", "raised_at"),
)

#: Whether asking to take a medicine is held; `at` of the newest decision starts the gap afresh.
holds = _table(
    "hold",
    Column("medication_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("rule_set", Text, nullable=False),
    Column("at", _INSTANT, nullable=False),
    CheckConstraint("state IN ('held', 'resumed')", name="hold_state"),
    CheckConstraint(f"version >= 1 AND rule_set {_SLUG}", name="hold_version"),
)

#: The channel as a whole was down from `opened_at` to `cleared_at`; either end may be heard first.
incidents = _table(
    "incident",
    Column("incident_id", _UUID, primary_key=True),
    Column("opened_at", _INSTANT),
    Column("cleared_at", _INSTANT),
    CheckConstraint("opened_at IS NOT NULL OR cleared_at IS NOT NULL", name="incident_said"),
    Index("incident_by_clinic", "clinic_id"),
)

#: Labs and vital signs asked for, and the days on which a result was recorded (the value stays in the scheduler).
monitoring = _table(
    "monitoring",
    Column("occurrence_id", _UUID, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
    Column("monitoring_id", _UUID, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("deadline_at", _INSTANT, nullable=False),
    Index("monitoring_by_id", "monitoring_id"),
)
results = _table(
    "result",
    Column("monitoring_id", _UUID, primary_key=True),
    Column("recorded_on", Date, primary_key=True),
    Column("patient_id", _UUID, nullable=False),
)

#: Risk wording heard, by reply: words that were read as risk are not also "a message to read".
risks = _table("risk", Column("reply_id", _UUID, primary_key=True), Column("patient_id", _UUID, nullable=False))

#: All events about a patient that adherence saw or said, in the order in which it knew of them.
timeline = _table(
    "timeline",
    Column("event_id", _UUID, primary_key=True),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Column("patient_id", _UUID, nullable=False),
    Column("at", _INSTANT, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurrence_id", _UUID),
    Column("causation_id", _UUID),
    # What caused it where that is no event: a due work's kind, or a command.
    Column("cause", Text),
    CheckConstraint(f"kind {_SLUG} AND cause {_SLUG}", name="timeline_holds_no_text"),
    Index("timeline_by_patient", "patient_id", "at", "seq"),
)
