"""For how long a connection's raw data is kept, where an admin has set a term of its own."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0021"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("raw_days", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("connection", "raw_days")
