"""Of which version the blind indexes of a connection are, so that they can be put under a new key together."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("index_version", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("connection", "index_version")
