"""Rounds of asking, whose answer failed, when a connection's next question may leave; and what waits for a person."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

FOR_PEOPLE = "ix_look_up_for_people"


def upgrade() -> None:
    op.add_column("poll", sa.Column("round", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("poll", sa.Column("round_kind", sa.String(length=10), nullable=True))
    op.add_column("poll", sa.Column("round_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("poll", sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("poll_subject", sa.Column("round", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("poll_subject", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("look_up", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    where = sa.text("state IN ('waiting', 'unknown')")
    op.create_index(FOR_PEOPLE, "look_up", ["organization_id", "event_id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    # What a person has left lying is unknown to the provider all the same: the word for it came with this.
    op.execute("UPDATE look_up SET state = 'unknown' WHERE state = 'left'")
    op.drop_index(FOR_PEOPLE, "look_up")
    op.drop_column("look_up", "failures")
    op.drop_column("poll_subject", "failures")
    op.drop_column("poll_subject", "round")
    for name in ("paced_until", "round_due_at", "round_kind", "round"):
        op.drop_column("poll", name)
