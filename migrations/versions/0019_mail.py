"""Messages that are handed on, documents that connectors read by, what people say of what only they can tell."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "handed_on",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=True),
        sa.Column("receipt_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_handed_on_connection_id_connection")),
        sa.PrimaryKeyConstraint("connection_id", "event_id", name=op.f("pk_handed_on")),
    )
    op.create_index(op.f("ix_handed_on_organization_id"), "handed_on", ["organization_id"], unique=False)
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_handed_on_due", "handed_on", ["due_at"], unique=False, sqlite_where=due, postgresql_where=due)
    op.create_table(
        "reading_document",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("written_by", sa.Uuid(), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_reading_document_connection_id_connection")),
        sa.PrimaryKeyConstraint("connection_id", "name", "version", name=op.f("pk_reading_document")),
    )
    op.create_index(op.f("ix_reading_document_organization_id"), "reading_document", ["organization_id"], unique=False)
    op.add_column("event", sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("event", "answered_at")
    op.drop_table("reading_document")
    op.drop_table("handed_on")
