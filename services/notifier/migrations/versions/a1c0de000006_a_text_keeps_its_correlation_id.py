"""a text keeps the correlation id of what asked for it

NULL in what is there already: of those nobody knows it any more.
"""

import sqlalchemy as sa
from alembic import op

revision = "a1c0de000006"
down_revision = "a1c0de000005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("correlation_id", sa.UUID()), schema="notifier")


def downgrade() -> None:
    op.drop_column("message", "correlation_id", schema="notifier")
