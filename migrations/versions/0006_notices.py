"""Letters, notices to members, requests for consent, alarms; and what health is read by."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = ("letter", "member_notice", "consent_request", "alarm")


def create_letter() -> None:
    op.create_table(
        "letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.Uuid(), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letter")),
        sa.UniqueConstraint("kind", "recipient", "about", name=op.f("uq_letter_kind_recipient_about")),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_letter_due", "letter", ["due_at"], unique=False, sqlite_where=due, postgresql_where=due)
    op.create_index(op.f("ix_letter_organization_id"), "letter", ["organization_id"], unique=False)


def create_member_notice() -> None:
    op.create_table(
        "member_notice",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("letter_id", sa.Uuid(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["letter_id"], ["letter.id"], name=op.f("fk_member_notice_letter_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_notice_member_id")),
        sa.PrimaryKeyConstraint("member_id", "incident_id", name=op.f("pk_member_notice")),
    )
    op.create_index(op.f("ix_member_notice_letter_id"), "member_notice", ["letter_id"], unique=False)
    op.create_index(op.f("ix_member_notice_organization_id"), "member_notice", ["organization_id"], unique=False)
    # What was there before members were told of anything is not news to anybody.
    op.execute(
        "INSERT INTO member_notice (member_id, incident_id, organization_id, taken_at)"
        " SELECT member_id, id, organization_id, updated_at FROM incident"
    )


def create_consent_request() -> None:
    op.create_table(
        "consent_request",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_consent_request_connection_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_consent_request_member_id")),
        sa.PrimaryKeyConstraint("member_id", "connection_id", name=op.f("pk_consent_request")),
    )
    op.create_index(op.f("ix_consent_request_organization_id"), "consent_request", ["organization_id"], unique=False)


def create_alarm() -> None:
    op.create_table(
        "alarm",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_alarm_connection_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_alarm_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_index("ix_alarm_organization_id_opened_at", "alarm", ["organization_id", "opened_at"], unique=False)
    for name, column, where in (
        ("uq_alarm_open_connection", "connection_id", sa.text("closed_at IS NULL AND connection_id IS NOT NULL")),
        ("uq_alarm_open_organization", "organization_id", sa.text("closed_at IS NULL AND connection_id IS NULL")),
    ):
        op.create_index(name, "alarm", [column, "kind"], unique=True, sqlite_where=where, postgresql_where=where)


def upgrade() -> None:
    aside = sa.text("state IN ('stale', 'unsplittable')")
    columns = ["organization_id", "id"]
    op.create_index("ix_receipt_set_aside", "receipt", columns, unique=False, sqlite_where=aside, postgresql_where=aside)
    op.create_index("ix_receipt_last_received", "receipt", ["connection_id", "last_received_at"], unique=False)
    create_letter()
    create_member_notice()
    create_consent_request()
    create_alarm()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_index("ix_receipt_last_received", "receipt")
    op.drop_index("ix_receipt_set_aside", "receipt")
