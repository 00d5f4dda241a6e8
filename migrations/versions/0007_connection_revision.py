"""Which state of a connection a delivery was checked against: a number that rises with every change, whoever makes it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ACTS = ("INSERT", "UPDATE", "DELETE")


def _on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION connection_changed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.revision := OLD.revision + 1; RETURN NEW; END $$"
    )
    op.execute("CREATE TRIGGER connection_changed BEFORE UPDATE ON connection FOR EACH ROW EXECUTE FUNCTION connection_changed()")
    op.execute(
        "CREATE FUNCTION connection_secret_changed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE connection SET revision = revision WHERE id IN (OLD.connection_id, NEW.connection_id); "
        "RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER connection_secret_changed AFTER {' OR '.join(ACTS)} ON connection_secret "
        "FOR EACH ROW EXECUTE FUNCTION connection_secret_changed()"
    )


def _on_sqlite() -> None:
    op.execute(
        "CREATE TRIGGER connection_changed AFTER UPDATE ON connection FOR EACH ROW WHEN NEW.revision = OLD.revision "
        "BEGIN UPDATE connection SET revision = OLD.revision + 1 WHERE id = NEW.id; END"
    )
    for act in ACTS:
        row = "OLD" if act == "DELETE" else "NEW"
        op.execute(
            f"CREATE TRIGGER connection_secret_{act.lower()} AFTER {act} ON connection_secret FOR EACH ROW "
            f"BEGIN UPDATE connection SET revision = revision + 1 WHERE id = {row}.connection_id; END"
        )


def upgrade() -> None:
    op.add_column("connection", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        _on_postgresql()
    else:
        _on_sqlite()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in ("connection_secret", "connection"):
            op.execute(f"DROP TRIGGER {table}_changed ON {table}")
            op.execute(f"DROP FUNCTION {table}_changed()")
        op.drop_column("connection", "revision")
        return
    for name in ("connection_changed", *(f"connection_secret_{act.lower()}" for act in ACTS)):
        op.execute(f"DROP TRIGGER {name}")
    op.execute("ALTER TABLE connection DROP COLUMN revision")
