"""Incidents, links, losses and statistics."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.append_only import forbid_changes

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = (
    "statistics_release",
    "incident",
    "incident_alert",
    "member_alert",
    "member_event",
    "unmatched",
    "verdict",
    "link",
    "loss",
    "reimbursement",
)


def create_statistics_release() -> None:
    op.create_table(
        "statistics_release",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_statistics_release_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statistics_release")),
        sa.UniqueConstraint("organization_id", "number", name=op.f("uq_statistics_release_organization_id_number")),
    )
    forbid_changes("statistics_release")


def create_incident() -> None:
    op.create_table(
        "incident",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("redirect_to", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("family", sa.String(length=20), nullable=False),
        sa.Column("occurred_earliest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("occurred_latest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(length=20), nullable=False),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("ask_again", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_incident_member_id")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_incident")),
    )
    op.create_index("ix_incident_member_id_first_received_at", "incident", ["member_id", "first_received_at", "id"], unique=False)
    op.create_index(op.f("ix_incident_organization_id"), "incident", ["organization_id"], unique=False)


def create_incident_alert() -> None:
    op.create_table(
        "incident_alert",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_incident_alert_member_id")),
        sa.PrimaryKeyConstraint("member_id", "alert_id", name=op.f("pk_incident_alert")),
    )
    op.create_index("ix_incident_alert_member_id_incident_id", "incident_alert", ["member_id", "incident_id"], unique=False)


def create_member_alert() -> None:
    op.create_table(
        "member_alert",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column("first_received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_alert_member_id")),
        sa.PrimaryKeyConstraint("member_id", "alert_id", name=op.f("pk_member_alert")),
    )
    op.create_index("ix_member_alert_connection_id_alert_id", "member_alert", ["connection_id", "alert_id"], unique=False)


def create_member_event() -> None:
    op.create_table(
        "member_event",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("grade", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("product", sa.String(length=40), nullable=True),
        sa.Column("bureau", sa.String(length=20), nullable=True),
        sa.Column("institution", sa.String(length=200), nullable=True),
        sa.Column("institution_index", sa.LargeBinary(), nullable=True),
        sa.Column("last_four", sa.String(length=4), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("occurred_earliest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("occurred_latest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_earliest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_latest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_earliest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reported_latest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_event_member_id")),
        sa.PrimaryKeyConstraint("member_id", "event_id", name=op.f("pk_member_event")),
    )
    op.create_index("ix_member_event_member_id_alert_id", "member_event", ["member_id", "alert_id"], unique=False)


def create_unmatched() -> None:
    op.create_table(
        "unmatched",
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("reference_index", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_unmatched_member_id")),
        sa.PrimaryKeyConstraint("connection_id", "alert_id", name=op.f("pk_unmatched")),
    )
    op.create_index("ix_unmatched_connection_id_reference_index", "unmatched", ["connection_id", "reference_index"], unique=False)
    op.create_index(op.f("ix_unmatched_member_id"), "unmatched", ["member_id"], unique=False)
    op.create_index(op.f("ix_unmatched_organization_id"), "unmatched", ["organization_id"], unique=False)


def create_verdict() -> None:
    op.create_table(
        "verdict",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("answer", sa.String(length=20), nullable=False),
        sa.Column("shown_alerts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_verdict_member_id")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_verdict")),
    )


def create_link() -> None:
    op.create_table(
        "link",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("breach_id", sa.Uuid(), nullable=False),
        sa.Column("time_order", sa.String(length=40), nullable=False),
        sa.Column("excluded_by_time", sa.Boolean(), nullable=False),
        sa.Column("finding", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("rules_version", sa.String(length=80), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["breach_id"], ["breach.id"], name=op.f("fk_link_breach_id")),
        sa.ForeignKeyConstraint(
            ["member_id", "incident_id"],
            ["incident.member_id", "incident.id"],
            name=op.f("fk_link_member_id_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_link")),
    )
    op.create_index(op.f("ix_link_breach_id"), "link", ["breach_id"], unique=False)
    op.create_index("ix_link_member_id_incident_id", "link", ["member_id", "incident_id"], unique=False)
    op.create_index(
        "uq_link_present",
        "link",
        ["member_id", "incident_id", "breach_id"],
        unique=True,
        sqlite_where=sa.text("superseded_at IS NULL"),
        postgresql_where=sa.text("superseded_at IS NULL"),
    )


def create_loss() -> None:
    op.create_table(
        "loss",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("head", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("incurred_on", sa.Date(), nullable=False),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("entered_by", sa.Uuid(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id", "incident_id"],
            ["incident.member_id", "incident.id"],
            name=op.f("fk_loss_member_id_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_loss")),
    )
    op.create_index("ix_loss_member_id_incident_id", "loss", ["member_id", "incident_id"], unique=False)


def create_reimbursement() -> None:
    op.create_table(
        "reimbursement",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("loss_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("payer", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["member_id", "loss_id"],
            ["loss.member_id", "loss.id"],
            name=op.f("fk_reimbursement_member_id_loss_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("member_id", "loss_id", "position", name=op.f("pk_reimbursement")),
    )


def upgrade() -> None:
    create_statistics_release()
    create_incident()
    create_incident_alert()
    create_member_alert()
    create_member_event()
    create_unmatched()
    create_verdict()
    create_link()
    create_loss()
    create_reimbursement()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
