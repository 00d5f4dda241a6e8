"""Asking providers: settings of connections, polls, look-ups, and what a fetched body was asked with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = ("poll", "poll_subject", "look_up")
COLUMNS = (
    ("connection", "previous_token_hash", sa.LargeBinary),
    ("connection", "previous_token_until", sa.DateTime),
    ("connection", "config_sealed", sa.LargeBinary),
    ("connection", "paused_at", sa.DateTime),
    ("connection", "fresh_hours", sa.Integer),
    ("enrollment", "reference_sealed", sa.LargeBinary),
    ("receipt", "asked_sealed", sa.LargeBinary),
    ("receipt", "answers_event", sa.Uuid),
    ("receipt", "remains_sealed", sa.LargeBinary),
    ("receipt", "about_index", sa.LargeBinary),
    ("event", "reference_index", sa.LargeBinary),
    ("event", "raw_erased_at", sa.DateTime),
)


def create_poll() -> None:
    op.create_table(
        "poll",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("cursor", sa.String(length=500), nullable=True),
        sa.Column("poll_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("look_ups_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sweep_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waits_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("polls", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("misses_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_poll_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_poll")),
    )
    op.create_index(op.f("ix_poll_organization_id"), "poll", ["organization_id"], unique=False)


def create_poll_subject() -> None:
    op.create_table(
        "poll_subject",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("reference_index", sa.LargeBinary(), nullable=False),
        sa.Column("cursor", sa.String(length=500), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_poll_subject_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "reference_index", name=op.f("pk_poll_subject")),
    )


def create_look_up() -> None:
    op.create_table(
        "look_up",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("reference_index", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_look_up_connection_id")),
        sa.PrimaryKeyConstraint("connection_id", "key", name=op.f("pk_look_up")),
    )
    due = sa.text("state = 'due'")
    op.create_index("ix_look_up_due", "look_up", ["connection_id", "due_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_look_up_connection_id_reference_index", "look_up", ["connection_id", "reference_index"])
    op.create_index(op.f("ix_look_up_organization_id"), "look_up", ["organization_id"], unique=False)


def upgrade() -> None:
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind(timezone=True) if kind is sa.DateTime else kind(), nullable=True))
    op.create_index("ix_receipt_about", "receipt", ["connection_id", "about_index"])
    op.create_index("ix_event_reference", "event", ["connection_id", "reference_index"])
    create_poll()
    create_poll_subject()
    create_look_up()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_event_reference", "event")
    op.drop_index("ix_receipt_about", "receipt")
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)
