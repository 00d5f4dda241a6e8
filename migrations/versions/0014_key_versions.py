"""Keys of organizations have versions, and say which top key wraps them; whose recovery was tried is written down."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLE, _KEPT = "organization_key", "organization_key_kept"


def _put_aside(columns: str, which: str = "true") -> None:
    """The primary key changes, which SQLite cannot do to a table that is there."""
    op.execute(f"CREATE TABLE {_KEPT} AS SELECT {columns} FROM {_TABLE} WHERE {which}")
    op.drop_table(_TABLE)


def _put_back(columns: str, values: str) -> None:
    op.execute(f"INSERT INTO {_TABLE} ({columns}) SELECT {values} FROM {_KEPT}")
    op.drop_table(_KEPT)


def upgrade() -> None:
    _put_aside("organization_id, lane, wrapped")
    op.create_table(
        _TABLE,
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("top", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "lane", "version", name=op.f("pk_organization_key")),
    )
    _put_back("organization_id, lane, version, wrapped", "organization_id, lane, 1, wrapped")
    op.create_table(
        "key_recovery",
        sa.Column("top", sa.String(length=16), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shares", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("top", name=op.f("pk_key_recovery")),
    )


def downgrade() -> None:
    """Back to keys without versions, where none was replaced yet: what is sealed under a second version needs this schema."""
    replaced = op.get_bind().execute(sa.text(f"SELECT count(*) FROM {_TABLE} WHERE version <> 1")).scalar_one()
    if replaced:
        raise RuntimeError("keys were replaced since: the schema before cannot hold them, and without them nothing can be read")
    op.drop_table("key_recovery")
    _put_aside("organization_id, lane, wrapped")
    op.create_table(
        _TABLE,
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "lane", name=op.f("pk_organization_key")),
    )
    _put_back("organization_id, lane, wrapped", "organization_id, lane, wrapped")
