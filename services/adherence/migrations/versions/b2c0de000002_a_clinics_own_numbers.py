"""a clinic's own numbers in place of the house's"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "b2c0de000002"
down_revision = "4ae04b243d2d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("'{}'::jsonb")
    numbers = sa.Column("numbers", postgresql.JSONB(), server_default=empty, nullable=False)
    op.add_column("clinic", numbers, schema="adherence")


def downgrade() -> None:
    op.drop_column("clinic", "numbers", schema="adherence")
