"""A packet that counsel order may be for a claim; and how often whoever built one was never heard of again."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | None = "0034"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("packet", sa.Column("claim_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("packet", sa.Column("cut_short", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("packet", "cut_short")
    op.drop_column("packet", "claim_sealed")
