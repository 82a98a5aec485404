"""moves are guarded: the state machines of a text and of an attempt, refused by the database as well (also from psql)"""

from alembic import op

revision = "a1c0de000002"
down_revision = "73130e624f9b"
branch_labels = None
depends_on = None

MESSAGE = """
CREATE FUNCTION notifier.message_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('queued', 'attempting'), ('queued', 'withheld'), ('queued', 'expired'), ('queued', 'carried'),
        ('withheld', 'queued'), ('expired', 'queued'),
        ('attempting', 'queued'), ('attempting', 'unconfirmed'), ('attempting', 'rejected'), ('attempting', 'accepted'),
        ('attempting', 'sent'), ('attempting', 'failed'), ('attempting', 'undelivered'), ('attempting', 'delivered'),
        ('unconfirmed', 'accepted'), ('unconfirmed', 'sent'), ('unconfirmed', 'failed'), ('unconfirmed', 'undelivered'),
        ('unconfirmed', 'delivered'),
        ('accepted', 'sent'), ('accepted', 'failed'), ('accepted', 'undelivered'), ('accepted', 'delivered'),
        ('sent', 'failed'), ('sent', 'undelivered'), ('sent', 'delivered'),
        ('failed', 'undelivered'), ('failed', 'delivered'), ('undelivered', 'delivered'))
    THEN
        RAISE EXCEPTION 'a text never moves from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state AND NEW.epoch <= OLD.epoch OR NEW.key <> OLD.key THEN
        RAISE EXCEPTION 'a text keeps its key, and its epoch rises with every move' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""
ATTEMPT = """
CREATE FUNCTION notifier.attempt_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.outcome <> OLD.outcome AND NOT (OLD.outcome, NEW.outcome) IN (
        ('open', 'not-begun'), ('open', 'not-sent'), ('open', 'rejected'), ('open', 'taken'), ('open', 'unconfirmed'),
        ('unconfirmed', 'taken'), ('unconfirmed', 'given-up'), ('given-up', 'taken'))
    THEN
        RAISE EXCEPTION 'an attempt never moves from % to %', OLD.outcome, NEW.outcome USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.sid IS NOT NULL AND NEW.sid IS DISTINCT FROM OLD.sid THEN
        RAISE EXCEPTION 'an attempt has one SID for ever' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.execute(MESSAGE)
    op.execute("CREATE TRIGGER message_moves BEFORE UPDATE ON notifier.message FOR EACH ROW EXECUTE FUNCTION notifier.message_moves()")
    op.execute(ATTEMPT)
    op.execute("CREATE TRIGGER attempt_moves BEFORE UPDATE ON notifier.attempt FOR EACH ROW EXECUTE FUNCTION notifier.attempt_moves()")


def downgrade() -> None:
    for table in ("message", "attempt"):
        op.execute(f"DROP TRIGGER {table}_moves ON notifier.{table}")
        op.execute(f"DROP FUNCTION notifier.{table}_moves()")
