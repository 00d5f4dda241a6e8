"""The ledger becomes a log for each organization: what waits for its place, leaves, subtrees, checkpoints, and who signs.

What waits is written by a trigger of the entry's own statement, whoever writes the entry; the entries that are there wait, too.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.append_only import forbid_changes

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_WAITS = "ledger_entry_waits"
_FUNCTION = "let_entry_wait"
_NEVER_CHANGED = ("ledger_leaf", "ledger_subtree", "ledger_checkpoint", "ledger_cosignature", "ledger_timestamp")


def upgrade() -> None:
    _waiting_and_head()
    _tree()
    _checkpoints()
    for table in _NEVER_CHANGED:
        forbid_changes(table)
    _let_entries_wait()


def _waiting_and_head() -> None:
    op.create_table(
        "ledger_pending",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "entry_id", name=op.f("pk_ledger_pending")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_head",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("read_back", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("found_wrong", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_ledger_head")),
    )


def _tree() -> None:
    op.create_table(
        "ledger_leaf",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "position", name=op.f("pk_ledger_leaf")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_ledger_leaf_entry_id")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_subtree",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "level", "position", name=op.f("pk_ledger_subtree")),
        sqlite_with_rowid=False,
    )


def _checkpoints() -> None:
    op.create_table(
        "ledger_checkpoint",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "size", name=op.f("pk_ledger_checkpoint")),
    )
    op.create_table(
        "ledger_cosignature",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=200), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "size", "witness", name=op.f("pk_ledger_cosignature")),
    )
    op.create_table(
        "ledger_timestamp",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("authority", sa.String(length=200), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "size", "authority", name=op.f("pk_ledger_timestamp")),
    )
    op.create_table(
        "ledger_signer",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("origin", sa.String(length=300), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("seed_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "number", name=op.f("pk_ledger_signer")),
    )


def _let_entries_wait() -> None:
    """PostgreSQL: one statement for all entries of a statement, by the role that writes them, into this very schema."""
    op.execute("INSERT INTO ledger_pending (organization_id, entry_id) SELECT organization_id, id FROM ledger_entry")
    bind = op.get_bind()
    if bind.dialect.name != "postgresql":
        op.execute(
            f"CREATE TRIGGER {_WAITS} AFTER INSERT ON ledger_entry BEGIN"
            " INSERT INTO ledger_pending (organization_id, entry_id) VALUES (NEW.organization_id, NEW.id); END"
        )
        return
    schema = bind.execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
    op.execute(
        f"CREATE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" INSERT INTO {schema}.ledger_pending (organization_id, entry_id) SELECT organization_id, id FROM written;"
        " RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {_WAITS} AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS written"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {_WAITS} ON ledger_entry")
        op.execute(f"DROP FUNCTION {_FUNCTION}()")
    else:
        op.execute(f"DROP TRIGGER {_WAITS}")
    for table in ("ledger_signer", *reversed(_NEVER_CHANGED), "ledger_head", "ledger_pending"):
        op.drop_table(table)
