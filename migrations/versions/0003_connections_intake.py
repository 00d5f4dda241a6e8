"""Connections and what arrives over them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = ("refusal", "connection", "alert", "connection_secret", "receipt", "event")


def create_refusal() -> None:
    op.create_table(
        "refusal",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "day", "reason", name=op.f("pk_refusal")),
    )


def create_connection() -> None:
    op.create_table(
        "connection",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connector", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=120), nullable=False),
        sa.Column("sender", sa.String(length=20), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_connection_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
    )
    op.create_index(op.f("ix_connection_organization_id"), "connection", ["organization_id"], unique=False)


def create_alert() -> None:
    op.create_table(
        "alert",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("dedupe_key", sa.LargeBinary(), nullable=False),
        sa.Column("key_version", sa.Integer(), nullable=False),
        sa.Column("reference_index", sa.LargeBinary(), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_alert_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "id", name=op.f("pk_alert")),
        sa.UniqueConstraint("connection_id", "dedupe_key", name=op.f("uq_alert_connection_id_dedupe_key")),
    )
    op.create_index("ix_alert_connection_id_reference_index", "alert", ["connection_id", "reference_index"], unique=False)


def create_connection_secret() -> None:
    op.create_table(
        "connection_secret",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_connection_secret_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "id", name=op.f("pk_connection_secret")),
    )


def create_receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("verification", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("headers_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_receipt_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("connection_id", "body_hash", name=op.f("uq_receipt_connection_id_body_hash")),
    )
    op.create_index(
        "ix_receipt_waiting",
        "receipt",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'stored'"),
        postgresql_where=sa.text("state = 'stored'"),
    )


def create_event() -> None:
    op.create_table(
        "event",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=80), nullable=True),
        sa.Column("path", sa.String(length=200), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("normaliser", sa.String(length=80), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id", "alert_id"], ["alert.connection_id", "alert.id"], name=op.f("fk_event_connection_id_alert_id")
        ),
        sa.ForeignKeyConstraint(
            ["connection_id", "receipt_id"],
            ["receipt.connection_id", "receipt.id"],
            name=op.f("fk_event_connection_id_receipt_id"),
        ),
        sa.PrimaryKeyConstraint("connection_id", "id", name=op.f("pk_event")),
        sa.UniqueConstraint("connection_id", "receipt_id", "position", name=op.f("uq_event_connection_id_receipt_id_position")),
    )
    op.create_index("ix_event_connection_id_alert_id", "event", ["connection_id", "alert_id"], unique=False)
    op.create_index(
        "ix_event_quarantined",
        "event",
        ["organization_id", "id"],
        unique=False,
        sqlite_where=sa.text("outcome = 'quarantined'"),
        postgresql_where=sa.text("outcome = 'quarantined'"),
    )


def upgrade() -> None:
    create_refusal()
    create_connection()
    create_alert()
    create_connection_secret()
    create_receipt()
    create_event()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
