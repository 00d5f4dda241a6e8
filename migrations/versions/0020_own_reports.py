"""What members report themselves: one connection of it an organization, alerts that want details, and alerts that tell more."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_ONE_OWN = "uq_connection_own"
_COMPLETES = "ix_member_event_member_id_completes"


def upgrade() -> None:
    there = sa.text("connector = 'own' AND closed_at IS NULL")
    op.create_index(_ONE_OWN, "connection", ["organization_id"], unique=True, sqlite_where=there, postgresql_where=there)
    op.add_column("member_event", sa.Column("details_requested", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("member_event", sa.Column("completes", sa.Uuid(), nullable=True))
    some = sa.text("completes IS NOT NULL")
    columns = ["member_id", "completes"]
    op.create_index(_COMPLETES, "member_event", columns, unique=False, sqlite_where=some, postgresql_where=some)


def downgrade() -> None:
    """Nothing of a report is lost but that it told more of another alert: that is in its sealed original still."""
    op.drop_index(_COMPLETES, table_name="member_event")
    op.drop_column("member_event", "completes")
    op.drop_column("member_event", "details_requested")
    op.drop_index(_ONE_OWN, table_name="connection")
