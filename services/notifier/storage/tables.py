"""The tables of sending: texts, attempts to send them, what the provider said, and what the gate knows of plans and alerts.

`*_at`, `not_before`, `useful_until` are clinical time (bind parameters); `*_machine` is the database's own clock, for leases
only.
Nothing readable about a person stands here: numbers and bodies are sealed, params hold ids, instants and slugs.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from services.notifier.domain.message import KINDS, STATES
from services.notifier.storage import METADATA


def _instant() -> DateTime:
    return DateTime(timezone=True)


def _id() -> UUID:  # type: ignore[type-arg]
    return UUID(as_uuid=True)


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


#: How an attempt ended. `open`: begun, nothing known yet. `not-begun` and `not-sent`: proof that nothing left.
OUTCOMES = ("open", "not-begun", "not-sent", "rejected", "taken", "unconfirmed", "given-up")

message = Table(
    "message",
    METADATA,
    Column("id", _id(), primary_key=True),
    # What can be said only once. This, not care, is why an occurrence never has two texts.
    Column("key", Text, nullable=False, unique=True),
    Column("clinic_id", _id(), nullable=False),
    Column("contact_id", _id(), nullable=False),
    Column("patient_id", _id()),
    Column("person_id", _id()),
    Column("kind", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("params", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("occurrence_id", _id()),
    Column("request_id", _id()),
    Column("alert_id", _id()),
    Column("reply_id", _id()),
    Column("plan_version", Integer),
    Column("cause_id", _id(), nullable=False),
    Column("cause_type", Text, nullable=False),
    # Whoever learns its fate, in whatever process and however late, says it under the correlation id of what asked for it.
    Column("correlation_id", _id()),
    Column("state", Text, nullable=False, server_default=text("'queued'")),
    # The gate's cell, or the provider's refusal.
    Column("why", Text),
    Column("waits_for", Text),
    # Rises with every move; a mover that has read an older one loses.
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("due_at", _instant(), nullable=False),
    Column("not_before", _instant(), nullable=False),
    Column("useful_until", _instant(), nullable=False),
    Column("created_at", _instant(), nullable=False),
    Column("changed_at", _instant(), nullable=False),
    Column("accepted_at", _instant()),
    # A digest that goes for this alert too.
    Column("carried_by", _id(), ForeignKey("notifier.message.id")),
    # Whether the conversation knows that this was asked.
    Column("asked", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(_one_of("kind", KINDS), name="message_kind"),
    CheckConstraint(_one_of("state", STATES), name="message_state"),
    CheckConstraint("(state IN ('withheld', 'expired', 'rejected')) = (why IS NOT NULL)", name="message_says_why"),
    CheckConstraint("waits_for IS NULL OR waits_for IN ('window', 'cap', 'digest', 'plan', 'retry')", name="message_waits_for"),
    CheckConstraint("(state = 'carried') = (carried_by IS NOT NULL)", name="message_carried"),
    CheckConstraint("contact_id = coalesce(person_id, patient_id)", name="message_has_somebody"),
    # Nobody on file: only ever the safe reply, to the number that wrote (storage/strangers.py).
    CheckConstraint(
        "patient_id IS NOT NULL OR person_id IS NOT NULL OR (kind = 'safe-reply' AND reply_id IS NOT NULL)",
        name="message_to_a_number",
    ),
    CheckConstraint("epoch >= 0 AND tries >= 0", name="message_counts_up"),
    Index("message_queued", "not_before", postgresql_where=text("state = 'queued'")),
    Index("message_queued_useful", "useful_until", postgresql_where=text("state = 'queued'")),
    Index("message_attempting", "contact_id", postgresql_where=text("state = 'attempting'")),
    Index("message_by_patient", "patient_id", "created_at"),
    Index("message_by_contact", "contact_id", "created_at"),
    Index("message_by_occurrence", "occurrence_id"),
    Index("message_by_alert", "alert_id"),
    Index("message_carried_by", "carried_by", postgresql_where=text("carried_by IS NOT NULL")),
)

attempt = Table(
    "attempt",
    METADATA,
    # Stands in the callback's path: opaque and random.
    Column("id", _id(), primary_key=True),
    Column("message_id", _id(), ForeignKey("notifier.message.id"), nullable=False),
    Column("clinic_id", _id(), nullable=False),
    Column("contact_id", _id(), nullable=False),
    # The message's epoch while this attempt is under way.
    Column("epoch", Integer, nullable=False),
    Column("outcome", Text, nullable=False, server_default=text("'open'")),
    Column("number_sealed", LargeBinary, nullable=False),
    Column("sender_sealed", LargeBinary, nullable=False),
    Column("body_sealed", LargeBinary, nullable=False),
    # Blind indexes: two attempts that the provider's list could not tell apart are seen without opening them.
    Column("number_index", LargeBinary, nullable=False),
    Column("body_index", LargeBinary, nullable=False),
    Column("started_at", _instant(), nullable=False),
    Column("valid_until", _instant(), nullable=False),
    Column("owner", _id(), nullable=False),
    Column("lease_until_machine", _instant(), nullable=False),
    Column("sid", Text, unique=True),
    Column("sid_from", Text),
    Column("error_code", Integer),
    # The next look at the provider, and how many there have been: reconciliation while in doubt, polling while not finished.
    Column("look_at", _instant()),
    Column("looks", Integer, nullable=False, server_default=text("0")),
    CheckConstraint(_one_of("outcome", OUTCOMES), name="attempt_outcome"),
    CheckConstraint("(outcome = 'taken') = (sid IS NOT NULL)", name="attempt_taken_has_sid"),
    CheckConstraint("(sid IS NULL) = (sid_from IS NULL)", name="attempt_sid_from"),
    CheckConstraint("sid_from IS NULL OR sid_from IN ('answer', 'callback', 'fetch', 'list')", name="attempt_sid_from_known"),
    CheckConstraint("look_at IS NULL OR outcome IN ('taken', 'unconfirmed')", name="attempt_look"),
    # At most one attempt of a text may ever have left: the schema's own at-most-once.
    Index("attempt_live", "message_id", unique=True, postgresql_where=text("outcome NOT IN ('not-begun', 'not-sent')")),
    Index("attempt_open", "lease_until_machine", postgresql_where=text("outcome = 'open'")),
    Index("attempt_to_look_at", "look_at", postgresql_where=text("look_at IS NOT NULL")),
    Index("attempt_by_contact", "contact_id", "started_at"),
)

status_callback = Table(
    "status_callback",
    METADATA,
    Column("attempt_id", _id(), ForeignKey("notifier.attempt.id"), nullable=False),
    Column("clinic_id", _id(), nullable=False),
    Column("sid", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_code", Integer, nullable=False, server_default=text("0")),
    Column("received_at", _instant(), nullable=False),
    # Keyed on the SID alone, "delivered" after "sent" would be thrown away as a repetition.
    PrimaryKeyConstraint("sid", "status", "error_code"),
)

plan_state = Table(
    "plan_state",
    METADATA,
    Column("patient_id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("plan_version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("zone", Text),
    Column("texts_a_day", Integer, nullable=False),
    Column("changed_at", _instant(), nullable=False),
    CheckConstraint("status IN ('active', 'paused', 'stopped', 'completed')", name="plan_state_status"),
)

asking_hold = Table(
    "asking_hold",
    METADATA,
    Column("patient_id", _id()),
    Column("medication_id", _id()),
    Column("clinic_id", _id(), nullable=False),
    Column("hold_version", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    PrimaryKeyConstraint("patient_id", "medication_id"),
)

open_alert = Table(
    "open_alert",
    METADATA,
    Column("alert_id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("patient_id", _id()),
    Column("alert_version", Integer, nullable=False),
    # No unique index: another patient's acknowledgement may be heard later than this code's next use.
    Column("code", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("recipient_id", _id()),
    Column("step", Integer, nullable=False),
    Column("raised_at", _instant(), nullable=False),
    Column("no_text_possible", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("severity IN ('low', 'high', 'crisis')", name="open_alert_severity"),
    CheckConstraint("state IN ('open', 'acknowledged', 'resolved')", name="open_alert_state"),
    Index("open_alert_by_code", "clinic_id", "code"),
    Index("open_alert_by_dedup", "clinic_id", "dedup_key"),
)

switch = Table(
    "switch",
    METADATA,
    Column("clinic_id", _id(), primary_key=True),
    Column("state", Text, nullable=False),
    # Not written any more (the audit keeps a command's reason, sealed). It goes once no process of the release before runs.
    Column("reason", Text),
    Column("key_id", _id(), nullable=False),
    Column("changed_at", _instant(), nullable=False),
    CheckConstraint("state IN ('on', 'off', 'off-everything')", name="switch_state"),
)

channel_incident = Table(
    "channel_incident",
    METADATA,
    Column("id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("reason", Text, nullable=False),
    Column("error_code", Integer),
    Column("opened_at", _instant(), nullable=False),
    Column("cleared_at", _instant()),
    # Half open: one text may try from here on.
    Column("probe_at", _instant(), nullable=False),
    Index("channel_incident_open", text("(cleared_at IS NULL)"), unique=True, postgresql_where=text("cleared_at IS NULL")),
)
