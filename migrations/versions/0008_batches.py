"""What the work in batches looks things up by, and what a link is based on."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Add an index over the messages without a position, which are few however many there are, and a column."""
    waiting = sa.text("position IS NULL")
    op.create_index("ix_outbox_waiting", "outbox", ["id"], sqlite_where=waiting, postgresql_where=waiting)
    due = sa.text("next_attempt_at IS NOT NULL")
    op.create_index("ix_outbox_failure_due", "outbox_failure", ["next_attempt_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_outbox_failure_message", "outbox_failure", ["message_id"])
    op.add_column("link", sa.Column("based_on", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take them away again."""
    op.drop_column("link", "based_on")
    op.drop_index("ix_outbox_failure_message", table_name="outbox_failure")
    op.drop_index("ix_outbox_failure_due", table_name="outbox_failure")
    op.drop_index("ix_outbox_waiting", table_name="outbox")
