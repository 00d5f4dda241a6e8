"""Packets that were asked for: how far each is, whose data it holds, who took it along."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_packets()
    _make_who()


def _make_packets() -> None:
    op.create_table(
        "packet",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("matter_id", sa.Uuid(), nullable=False),
        sa.Column("wanted", _JSON, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("ordered_by", sa.Uuid(), nullable=True),
        sa.Column("ordered_at", _MOMENT, nullable=True),
        sa.Column("outline", _JSON, nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("of_all", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=True),
        sa.Column("zip_size", sa.BigInteger(), nullable=True),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("ready_at", _MOMENT, nullable=True),
        sa.Column("gone_at", _MOMENT, nullable=True),
        sa.Column("why_gone", sa.String(length=20), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", _MOMENT, nullable=True),
        sa.Column("lease_until", _MOMENT, nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["matter_id"], ["matter.id"], name=op.f("fk_packet_matter_id_matter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packet")),
    )
    op.create_index("ix_packet_matter_id_id", "packet", ["matter_id", "id"])
    op.create_index("ix_packet_state_id", "packet", ["state", "id"])


def _make_who() -> None:
    op.create_table(
        "packet_member",
        sa.Column("member_id", sa.Uuid(), nullable=False),
        sa.Column("packet_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("connections", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["packet_id"], ["packet.id"], name=op.f("fk_packet_member_packet_id_packet")),
        sa.PrimaryKeyConstraint("member_id", "packet_id", name=op.f("pk_packet_member")),
    )
    op.create_index(op.f("ix_packet_member_packet_id"), "packet_member", ["packet_id"])
    op.create_table(
        "packet_taken",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("packet_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["packet_id"], ["packet.id"], name=op.f("fk_packet_taken_packet_id_packet")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_packet_taken")),
    )
    op.create_index(op.f("ix_packet_taken_packet_id"), "packet_taken", ["packet_id"])


def downgrade() -> None:
    op.drop_table("packet_taken")
    op.drop_table("packet_member")
    op.drop_table("packet")
