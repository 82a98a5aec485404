"""a text to a number that nobody on file has: only ever the safe reply (a NULL contact passed message_has_somebody unseen)"""

from alembic import op

revision = "a1c0de000003"
down_revision = "a1c0de000002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    somebody = "patient_id IS NOT NULL OR person_id IS NOT NULL"
    op.create_check_constraint(
        "message_to_a_number", "message", f"{somebody} OR (kind = 'safe-reply' AND reply_id IS NOT NULL)", schema="notifier"
    )


def downgrade() -> None:
    op.drop_constraint("message_to_a_number", "message", schema="notifier", type_="check")
