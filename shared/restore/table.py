"""The one row of a service's schema that says that the database is a restored one. Absent: it never was."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Integer, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB


def _instant() -> DateTime:
    return DateTime(timezone=True)


@cache
def restore_table(metadata: MetaData) -> Table:
    """Adds the table to a service's metadata, once; the same table on every later call."""
    return Table(
        "restore_mode",
        metadata,
        Column("one", Boolean, primary_key=True, server_default=text("true")),
        Column("state", Text, nullable=False),
        # Every version that this service gives is above it: higher than any that a topic or a reader can hold.
        Column("version_base", Integer, nullable=False),
        # Clinical time: what was said last before the backup, and when the service took up the way back. What happened in between
        # is what it has forgotten. NULL: not known, or not taken up yet.
        Column("since", _instant()),
        Column("until", _instant()),
        # What was found, as counts and our own ids.
        Column("found", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("begun_machine", _instant(), nullable=False, server_default=text("clock_timestamp()")),
        Column("finished_machine", _instant()),
        CheckConstraint("one", name="restore_mode_one_row"),
        CheckConstraint("state IN ('begun', 'done')", name="restore_mode_state"),
        CheckConstraint("(state = 'done') = (finished_machine IS NOT NULL)", name="restore_mode_finished"),
        CheckConstraint("version_base >= 0", name="restore_mode_counts_up"),
    )
