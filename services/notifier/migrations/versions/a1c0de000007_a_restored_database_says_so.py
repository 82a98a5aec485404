"""the row that says that a database is a restored one"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "a1c0de000007"
down_revision = "a1c0de000006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "restore_mode",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version_base", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("begun_machine", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("finished_machine", sa.DateTime(timezone=True)),
        sa.CheckConstraint("one", name="restore_mode_one_row"),
        sa.CheckConstraint("state IN ('begun', 'done')", name="restore_mode_state"),
        sa.CheckConstraint("(state = 'done') = (finished_machine IS NOT NULL)", name="restore_mode_finished"),
        sa.CheckConstraint("version_base >= 0", name="restore_mode_counts_up"),
        sa.PrimaryKeyConstraint("one", name="restore_mode_pkey"),
        schema="notifier",
    )


def downgrade() -> None:
    op.drop_table("restore_mode", schema="notifier")
