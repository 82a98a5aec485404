"""which channel has delivered an ops notice, and which has given it up"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "d5c0de000002"
down_revision = "4161157ccd83"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("delivered_by", "refused_by"):
        empty = sa.text("'{}'::text[]")
        op.add_column("ops_notice", sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=empty, nullable=False), schema="scheduler")


def downgrade() -> None:
    for name in ("refused_by", "delivered_by"):
        op.drop_column("ops_notice", name, schema="scheduler")
