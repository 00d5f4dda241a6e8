"""What the door has in its own right, to take deliveries in while the top key is away: keys, and the networks it lets in.

Both are made by the service with the top key (`app/handing_over`), which alone can; also again, after going back and forth.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "door_key",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "version", name=op.f("pk_door_key")),
    )
    op.add_column("connection", sa.Column("sources_sealed", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Nothing is lost; but code of that schema cannot open receipts and secrets that were sealed since: let it have a backup."""
    op.drop_column("connection", "sources_sealed")
    op.drop_table("door_key")
