"""Organizations, members, breaches and matters."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TABLES = (
    "organization",
    "breach",
    "member",
    "consent",
    "employment",
    "enrollment",
    "exposure",
    "legal_hold",
    "matter",
    "member_evidence",
    "matter_counsel",
)


def create_organization() -> None:
    op.create_table(
        "organization",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organization")),
    )


def create_breach() -> None:
    op.create_table(
        "breach",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("focal", sa.Boolean(), nullable=False),
        sa.Column("spec", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_breach_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breach")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq_breach_organization_id_key")),
    )
    op.create_index(op.f("ix_breach_organization_id"), "breach", ["organization_id"], unique=False)


def create_member() -> None:
    op.create_table(
        "member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("external_index", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_member_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("organization_id", "external_index", name=op.f("uq_member_organization_id_external_index")),
    )
    op.create_index(op.f("ix_member_organization_id"), "member", ["organization_id"], unique=False)


def create_consent() -> None:
    op.create_table(
        "consent",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_consent_member_id")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_consent")),
    )
    op.create_index(op.f("ix_consent_connection_id"), "consent", ["connection_id"], unique=False)


def create_employment() -> None:
    op.create_table(
        "employment",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_employment_member_id")),
        sa.PrimaryKeyConstraint("member_id", "started_on", name=op.f("pk_employment")),
    )


def create_enrollment() -> None:
    op.create_table(
        "enrollment",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("reference_index", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_enrollment_member_id")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_enrollment")),
        sa.UniqueConstraint(
            "member_id", "connection_id", "reference_index", name=op.f("uq_enrollment_member_id_connection_id_reference_index")
        ),
    )
    op.create_index(
        "ix_enrollment_connection_id_reference_index", "enrollment", ["connection_id", "reference_index"], unique=False
    )
    op.create_index(op.f("ix_enrollment_organization_id"), "enrollment", ["organization_id"], unique=False)


def create_exposure() -> None:
    op.create_table(
        "exposure",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("breach_id", sa.Uuid(), nullable=False),
        sa.Column("wave", sa.String(length=60), nullable=False),
        sa.Column("element", sa.String(length=30), nullable=False),
        sa.Column("basis", sa.String(length=30), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("mark", sa.String(length=1), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["breach_id"], ["breach.id"], name=op.f("fk_exposure_breach_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_exposure_member_id")),
        sa.PrimaryKeyConstraint("member_id", "breach_id", "wave", "element", name=op.f("pk_exposure")),
    )


def create_legal_hold() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("member_id", sa.Uuid(), nullable=True),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("placed_by", sa.Uuid(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_legal_hold_member_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_legal_hold_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    op.create_index(op.f("ix_legal_hold_organization_id"), "legal_hold", ["organization_id"], unique=False)


def create_matter() -> None:
    op.create_table(
        "matter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("breach_id", sa.Uuid(), nullable=False),
        sa.Column("title_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["breach_id"], ["breach.id"], name=op.f("fk_matter_breach_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"], name=op.f("fk_matter_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_matter")),
    )
    op.create_index(op.f("ix_matter_organization_id"), "matter", ["organization_id"], unique=False)


def create_member_evidence() -> None:
    op.create_table(
        "member_evidence",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("breach_id", sa.Uuid(), nullable=False),
        sa.Column("wave", sa.String(length=60), nullable=False),
        sa.Column("basis", sa.String(length=30), nullable=False),
        sa.Column("elements", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["breach_id"], ["breach.id"], name=op.f("fk_member_evidence_breach_id")),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_member_evidence_member_id")),
        sa.PrimaryKeyConstraint("member_id", "id", name=op.f("pk_member_evidence")),
    )
    op.create_index(op.f("ix_member_evidence_breach_id"), "member_evidence", ["breach_id"], unique=False)


def create_matter_counsel() -> None:
    op.create_table(
        "matter_counsel",
        sa.Column("matter_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_matter_counsel_account_id")),
        sa.ForeignKeyConstraint(["matter_id"], ["matter.id"], name=op.f("fk_matter_counsel_matter_id")),
        sa.PrimaryKeyConstraint("matter_id", "account_id", name=op.f("pk_matter_counsel")),
    )


def upgrade() -> None:
    create_organization()
    create_breach()
    create_member()
    create_consent()
    create_employment()
    create_enrollment()
    create_exposure()
    create_legal_hold()
    create_matter()
    create_member_evidence()
    create_matter_counsel()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
