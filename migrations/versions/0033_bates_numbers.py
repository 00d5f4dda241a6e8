"""The numbers of exhibits: each given once, and never changed or taken back."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.append_only import forbid_changes

revision: str = "0033"
down_revision: str | None = "0032"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "bates_number",
        sa.Column("matter_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit", sa.String(length=120), nullable=False),
        sa.Column("prefix", sa.String(length=20), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["matter_id"], ["matter.id"], name=op.f("fk_bates_number_matter_id_matter")),
        sa.PrimaryKeyConstraint("matter_id", "exhibit", "prefix", name=op.f("pk_bates_number")),
    )
    op.create_index("uq_bates_number", "bates_number", ["organization_id", "prefix", "number"], unique=True)
    forbid_changes("bates_number")


def downgrade() -> None:
    op.drop_table("bates_number")
