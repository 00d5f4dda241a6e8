"""From here on the second wall stands: row-level security on PostgreSQL, raised by `migrations/raising` after the last step.

There is no step in here: the wall is not history, it stands as the code says. This revision says that it stands, so that code
which takes on no role finds a database that is too new for it.
"""

from collections.abc import Sequence

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Nothing: `env.py` raises the wall."""


def downgrade() -> None:
    """Nothing: `env.py` took it down before the first step."""
