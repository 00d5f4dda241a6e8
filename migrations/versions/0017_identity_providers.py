"""Organizations' own sign-in (OpenID Connect), whom it means by whom, and which sessions came by it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _list(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False)


def upgrade() -> None:
    op.create_table(
        "identity_provider",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(500), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=True),
        _list("domains"),
        _list("accounts"),
        _moment("created_at"),
        _moment("checked_at"),
        _moment("switched_off_at", nullable=True),
        _moment("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_provider")),
    )
    op.create_index(op.f("ix_identity_provider_organization_id"), "identity_provider", ["organization_id"])
    op.create_index(
        "uq_identity_provider_organization_id",
        "identity_provider",
        ["organization_id"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "provider_link",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("subject_index", sa.LargeBinary(), nullable=True),
        sa.Column("by_person", sa.Boolean(), nullable=False),
        _moment("created_at"),
        _moment("last_used_at", nullable=True),
        _moment("removed_at", nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_provider_link_account_id")),
        sa.ForeignKeyConstraint(["provider_id"], ["identity_provider.id"], name=op.f("fk_provider_link_provider_id")),
        sa.PrimaryKeyConstraint("account_id", "provider_id", name=op.f("pk_provider_link")),
        sa.UniqueConstraint("provider_id", "subject_index", name=op.f("uq_provider_link_provider_id_subject_index")),
    )
    op.add_column("session", sa.Column("provider_id", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_session_provider_id"), "session", ["provider_id"])


def downgrade() -> None:
    op.execute("DELETE FROM session WHERE provider_id IS NOT NULL")  # the code before could not end them
    op.drop_index(op.f("ix_session_provider_id"), "session")
    op.drop_column("session", "provider_id")
    op.drop_table("provider_link")
    op.drop_table("identity_provider")
