"""Which alerts of a member name one institution is asked for each new alert."""

from collections.abc import Sequence

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NAME = "ix_member_event_member_id_institution_index"


def upgrade() -> None:
    op.create_index(_NAME, "member_event", ["member_id", "institution_index"])


def downgrade() -> None:
    op.drop_index(_NAME, table_name="member_event")
