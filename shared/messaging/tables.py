"""The tables that messaging and due work keep in every service's schema. Illegal states are refused here, not by care.

`created_at`, `parked_at` of clinical rows are clinical time (a bind parameter); columns ending in `_machine` are machine time.
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
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id. Only ever compared and computed inside SQL, cast to bigint on its way out."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"


def _instant() -> DateTime:
    return DateTime(timezone=True)


@dataclass(frozen=True)
class CoreTables:
    """The shared tables of one service."""

    outbox: Table
    inbox: Table
    relay_lease: Table
    relay_batch: Table
    group_confirmed: Table
    reader_state: Table
    parked: Table
    due_work: Table


@cache
def core_tables(metadata: MetaData) -> CoreTables:
    """Adds the shared tables to a service's metadata, once; the same tables on every later call."""
    return CoreTables(
        outbox=_outbox(metadata),
        inbox=_inbox(metadata),
        relay_lease=_relay_lease(metadata),
        relay_batch=_relay_batch(metadata),
        group_confirmed=_group_confirmed(metadata),
        reader_state=_reader_state(metadata),
        parked=_parked(metadata),
        due_work=_due_work(metadata),
    )


def _outbox(metadata: MetaData) -> Table:
    return Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        # The transaction that wrote the row: the relay sends only below the oldest one still running.
        Column("txid", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
        Column("event_id", UUID(as_uuid=True), nullable=False),
        Column("topic", Text, nullable=False),
        Column("key", UUID(as_uuid=True), nullable=False),
        Column("type", Text, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", _instant(), nullable=False),
        UniqueConstraint("event_id", name="outbox_event_id"),
        Index("outbox_by_txid", "txid", "seq"),
    )


def _inbox(metadata: MetaData) -> Table:
    return Table(
        "inbox",
        metadata,
        Column("event_id", UUID(as_uuid=True), primary_key=True),
        Column("received_machine", _instant(), nullable=False, server_default=text("clock_timestamp()")),
        Index("inbox_by_age", "received_machine"),
    )


def _relay_lease(metadata: MetaData) -> Table:
    """One row: who may move the relay's memory, and what that memory says of the broker as a whole."""
    return Table(
        "relay_lease",
        metadata,
        Column("one", Boolean, primary_key=True, server_default=text("true")),
        Column("epoch", BigInteger, nullable=False, server_default=text("0")),
        Column("holder", UUID(as_uuid=True)),
        Column("lease_until_machine", _instant()),
        Column("repair", Integer, nullable=False, server_default=text("0")),
        # While a repair runs: the transaction id from which it publishes again; NULL once its markers are out.
        Column("repair_from", BigInteger),
        # The broker's identity, and per topic and partition the last offset that is ours there.
        Column("incarnation", Text),
        Column("lasts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        CheckConstraint("one", name="relay_lease_one_row"),
        CheckConstraint("epoch >= 0 AND repair >= 0", name="relay_lease_counts_up"),
        CheckConstraint("(holder IS NULL) = (lease_until_machine IS NULL)", name="relay_lease_whole"),
    )


def _relay_batch(metadata: MetaData) -> Table:
    """The relay's memory: one row a published chunk, none a record."""
    return Table(
        "relay_batch",
        metadata,
        Column("batch", BigInteger, Identity(always=True), primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("repair", Integer, nullable=False),
        # Transaction ids [window_lo, window_hi) as numbers; rows of a window go out ORDER BY seq.
        Column("window_lo", BigInteger, nullable=False),
        Column("window_hi", BigInteger, nullable=False),
        Column("last_seq", BigInteger, nullable=False),
        Column("complete", Boolean, nullable=False),
        # By topic and partition: the first and the last offset that the rows went to.
        Column("offsets", JSONB, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("published_machine", _instant(), nullable=False, server_default=text("clock_timestamp()")),
        # Set once every consumer group has committed past the offsets above.
        Column("confirmed", Boolean, nullable=False, server_default=text("false")),
        CheckConstraint("window_lo < window_hi", name="relay_batch_window"),
        CheckConstraint("rows >= 0", name="relay_batch_rows"),
        Index("relay_batch_unconfirmed", "batch", postgresql_where=text("NOT confirmed")),
    )


def _group_confirmed(metadata: MetaData) -> Table:
    """How far each consumer group has committed on our topics, as read from Kafka: the next offset it will read."""
    return Table(
        "group_confirmed",
        metadata,
        Column("consumer_group", Text),
        Column("topic", Text),
        Column("partition", Integer),
        Column("next_offset", BigInteger, nullable=False),
        # The repair number that the reader had met when it committed; an older one confirms nothing of a later repair.
        Column("repair", Integer, nullable=False),
        PrimaryKeyConstraint("consumer_group", "topic", "partition"),
        CheckConstraint("next_offset >= 0", name="group_confirmed_counts"),
    )


def _reader_state(metadata: MetaData) -> Table:
    """Per partition heard: the highest repair number met. A higher one in a record means: read it again from its start.

    By partition and not by topic, so that it stays right where several replicas share a topic's partitions."""
    return Table(
        "reader_state",
        metadata,
        Column("topic", Text),
        Column("partition", Integer),
        Column("repair", Integer, nullable=False),
        PrimaryKeyConstraint("topic", "partition"),
        CheckConstraint("repair >= 0", name="reader_state_counts"),
    )


def _parked(metadata: MetaData) -> Table:
    return Table(
        "parked",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", UUID(as_uuid=True), nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("record_offset", BigInteger, nullable=False),
        Column("key", UUID(as_uuid=True), nullable=False),
        # NULL where the record was not readable enough to tell.
        Column("clinic_id", UUID(as_uuid=True)),
        Column("raw_key", LargeBinary),
        Column("type", Text),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary),
        # The class of the failure, never its message: a message may quote what a patient wrote. NULL: parked behind another.
        Column("error", Text),
        Column("attempts", Integer, nullable=False),
        Column("state", Text, nullable=False, server_default=text("'parked'")),
        Column("parked_at", _instant(), nullable=False),
        Column("resolved_at", _instant()),
        Column("resolved_by", Text),
        # Sealed: a person writes it, and may name a patient.
        Column("reason", LargeBinary),
        UniqueConstraint("event_id", name="parked_event_id"),
        CheckConstraint("state IN ('parked', 'behind', 'replayed', 'discarded')", name="parked_state"),
        CheckConstraint("(state IN ('replayed', 'discarded')) = (resolved_at IS NOT NULL)", name="parked_resolved_at"),
        CheckConstraint("resolved_at IS NULL OR (resolved_by IS NOT NULL AND reason IS NOT NULL)", name="parked_resolved_by"),
        CheckConstraint("state <> 'parked' OR error IS NOT NULL", name="parked_says_why"),
        Index("parked_open_by_key", "key", "seq", postgresql_where=text("state IN ('parked', 'behind')")),
    )


def _due_work(metadata: MetaData) -> Table:
    return Table(
        "due_work",
        metadata,
        Column("kind", Text),
        Column("ref", Text),
        Column("key", UUID(as_uuid=True), nullable=False),
        Column("clinic_id", UUID(as_uuid=True), nullable=False),
        Column("due_at", _instant(), nullable=False),
        Column("data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("state", Text, nullable=False, server_default=text("'waiting'")),
        Column("error", Text),
        PrimaryKeyConstraint("kind", "ref"),
        CheckConstraint("state IN ('waiting', 'parked')", name="due_work_state"),
        CheckConstraint("state = 'waiting' OR error IS NOT NULL", name="due_work_parked_says_why"),
        CheckConstraint("attempts >= 0", name="due_work_attempts"),
        Index("due_work_waiting", "due_at", "kind", "ref", postgresql_where=text("state = 'waiting'")),
        Index("due_work_parked_by_key", "key", postgresql_where=text("state = 'parked'")),
    )
