"""the switch keeps no reason: free text of a person stood there unsealed; the audit of the command has it, sealed"""

import sqlalchemy as sa
from alembic import op

revision = "a1c0de000004"
down_revision = "a1c0de000003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("switch", "reason", existing_type=sa.Text(), nullable=True, schema="notifier")
    op.execute("UPDATE notifier.switch SET reason = NULL")


def downgrade() -> None:
    op.execute("UPDATE notifier.switch SET reason = 'not-kept' WHERE reason IS NULL")
    op.alter_column("switch", "reason", existing_type=sa.Text(), nullable=False, schema="notifier")
