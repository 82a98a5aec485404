"""which channel has delivered an ops notice, and which has given it up"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "b2c0de000003"
down_revision = "b2c0de000002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("delivered_by", "refused_by"):
        empty = sa.text("'{}'::text[]")
        op.add_column("ops_notice", sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=empty, nullable=False), schema="adherence")


def downgrade() -> None:
    for name in ("refused_by", "delivered_by"):
        op.drop_column("ops_notice", name, schema="adherence")
