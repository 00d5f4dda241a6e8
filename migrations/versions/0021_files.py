"""Files that are handed in: how far each has come."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0021"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "handed_in",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("file_index", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_handed_in_connection_id_connection")),
        sa.PrimaryKeyConstraint("connection_id", "file_index", name=op.f("pk_handed_in")),
    )
    op.create_index(op.f("ix_handed_in_organization_id"), "handed_in", ["organization_id"], unique=False)


def downgrade() -> None:
    op.drop_table("handed_in")
