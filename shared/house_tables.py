"""The tables of the HTTP edge and the ops channel in every service's schema: keys, audit, idempotency, ops notices.

`*_at` columns are clinical time (bind parameters). What could name a person (a command's reason, a stored answer) is sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

_UUID = UUID(as_uuid=True)
_ROLES = "ARRAY['prescriber', 'therapist', 'coordinator', 'ops', 'service']"


def _instant() -> DateTime:
    return DateTime(timezone=True)


@dataclass(frozen=True)
class HouseTables:
    """Tables that `shared` owns in one service's schema."""

    api_key: Table
    audit: Table
    idempotency: Table
    ops_notice: Table


@cache
def house_tables(metadata: MetaData) -> HouseTables:
    """Adds the tables to a service's metadata, once; the same tables on every later call."""
    return HouseTables(_api_key(metadata), _audit(metadata), _idempotency(metadata), _ops_notice(metadata))


def _api_key(metadata: MetaData) -> Table:
    return Table(
        "api_key",
        metadata,
        Column("key_id", _UUID, primary_key=True),
        Column("clinic_id", _UUID, nullable=False),
        Column("sha256", LargeBinary, nullable=False),
        Column("label", Text, nullable=False),
        Column("roles", ARRAY(Text), nullable=False),
        # The care-team member who uses it, so that the audit names one; NULL for a tool.
        Column("person_id", _UUID),
        # Came from STEADYPATH_KEY: replaced, and so revoked, when that setting changes.
        Column("bootstrap", Boolean, nullable=False, server_default=text("false")),
        Column("created_at", _instant(), nullable=False),
        Column("revoked_at", _instant()),
        CheckConstraint(f"roles <@ {_ROLES} AND cardinality(roles) > 0", name="api_key_roles"),
        CheckConstraint("octet_length(sha256) = 32", name="api_key_is_a_hash"),
        CheckConstraint("label ~ '^[a-z0-9][a-z0-9-]{0,63}$'", name="api_key_label_names_no_person"),
        Index("api_key_live", "sha256", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )


def _audit(metadata: MetaData) -> Table:
    """Append-only: a trigger (`append_only_ddl`) refuses everything but INSERT."""
    return Table(
        "audit",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("audit_id", _UUID, nullable=False),
        Column("clinic_id", _UUID, nullable=False),
        Column("at", _instant(), nullable=False),
        Column("key_id", _UUID, nullable=False),
        Column("author", Text, nullable=False),
        Column("person_id", _UUID),
        Column("method", Text, nullable=False),
        # The route's pattern, never the URL: an external id in it may be a medical record number.
        Column("route", Text, nullable=False),
        # Our own ids of what the route names.
        Column("objects", JSONB, nullable=False),
        Column("reason", LargeBinary),
        Column("correlation_id", _UUID, nullable=False),
        UniqueConstraint("audit_id", name="audit_audit_id"),
        Index("audit_by_clinic", "clinic_id", "seq"),
    )


def _idempotency(metadata: MetaData) -> Table:
    """A row appears with the command's own transaction; its answer is filled in right after."""
    return Table(
        "idempotency",
        metadata,
        Column("clinic_id", _UUID),
        # SHA-256 of the client's key: what a client puts in there is its own.
        Column("key_hash", LargeBinary),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("at", _instant(), nullable=False),
        Column("status", Integer),
        Column("answer", LargeBinary),
        PrimaryKeyConstraint("clinic_id", "key_hash"),
        CheckConstraint("(status IS NULL) = (answer IS NULL)", name="idempotency_answer_whole"),
        Index("idempotency_by_age", "at"),
    )


def _ops_notice(metadata: MetaData) -> Table:
    return Table(
        "ops_notice",
        metadata,
        Column("notice_id", _UUID, primary_key=True),
        Column("clinic_id", _UUID),
        Column("kind", Text, nullable=False),
        # The same kind and dedup is the same notice: said once.
        Column("dedup", Text, nullable=False),
        Column("details", JSONB, nullable=False),
        Column("at", _instant(), nullable=False),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("next_at", _instant(), nullable=False),
        Column("state", Text, nullable=False, server_default=text("'waiting'")),
        # By channel ("webhook", "smtp"): has it; will not have it any more.
        Column("delivered_by", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
        Column("refused_by", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
        UniqueConstraint("kind", "dedup", name="ops_notice_once"),
        CheckConstraint("state IN ('waiting', 'delivered', 'given-up')", name="ops_notice_state"),
        CheckConstraint("attempts >= 0", name="ops_notice_attempts"),
        Index("ops_notice_waiting", "next_at", postgresql_where=text("state = 'waiting'")),
    )


def append_only_ddl(schema: str) -> tuple[str, ...]:
    """Statements, safe to repeat, that make the audit append-only whoever owns the table (ASVS 16.4.2)."""
    return (
        f"""CREATE OR REPLACE FUNCTION "{schema}".audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege'; END $$""",
        f"""CREATE OR REPLACE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON "{schema}".audit
        FOR EACH ROW EXECUTE FUNCTION "{schema}".audit_is_append_only()""",
        f"""CREATE OR REPLACE TRIGGER audit_never_truncated BEFORE TRUNCATE ON "{schema}".audit
        FOR EACH STATEMENT EXECUTE FUNCTION "{schema}".audit_is_append_only()""",
    )
