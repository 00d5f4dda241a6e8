"""PostgreSQL checks the foreign keys of the busiest tables a whole statement at once. SQLite's stay as they are."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from migrations.by_statement import check_by_row, check_by_statement

revision: str = "0037"
down_revision: str | None = "0036"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        schema = bind.execute(sa.text("SELECT quote_ident(current_schema())")).scalar_one()
        for statement in check_by_statement(schema):
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in check_by_row():
            op.execute(statement)
