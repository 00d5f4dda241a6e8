"""As whom the database is asked. PostgreSQL then shows and takes only what that role may, whatever the query says.

A transaction begins with one statement that takes on a role and says whose it is, both until the transaction ends and no
longer: nothing of it is left on the connection for whoever gets it next, out of our pool or out of a pooler in between.
SQLite knows no roles; there the queries alone decide, as they do everywhere before the database does.
"""

from dataclasses import dataclass
from uuid import UUID

SERVICE = "harmline_service"
"""The role that a login must be a member of: by itself it may do nothing but take on the others."""


@dataclass(frozen=True, slots=True)
class Acting:
    """One of the roles of `access/walls`, and on whose behalf. What is None is nobody's: then no row is."""

    role: str
    organization_id: UUID | None = None
    account_id: UUID | None = None
    member_id: UUID | None = None

    @property
    def values(self) -> tuple[str, str, str, str]:
        """What `TAKE_ON` takes. Each is set every time, so that nothing said before in the same transaction stays."""
        return (self.role, _text(self.organization_id), _text(self.account_id), _text(self.member_id))


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)


TAKE_ON = (
    "SELECT set_config('role', $1, true), set_config('harmline.organization', $2, true),"
    " set_config('harmline.account', $3, true), set_config('harmline.member', $4, true)"
)
"""Makes the rest of a transaction act so (`true`: like SET LOCAL)."""

_WRITING = 5_718_202
"""The advisory lock of PostgreSQL: shared by whatever writes, alone for what no other may be in the middle of."""

TAKE_ON_TO_WRITE = f"{TAKE_ON}, pg_advisory_xact_lock_shared({_WRITING})"
WRITE_ALONE = ("SET LOCAL lock_timeout = '2s'", f"SELECT pg_advisory_xact_lock({_WRITING})")
"""Waits for whoever writes, for so long: whoever comes meanwhile waits too."""

NOBODY = Acting("harmline_nobody")
"""Who may do nothing at all: whatever was not said to act for anybody."""

ANYONE = Acting("harmline_anyone")
"""Whoever asks, before it is known who: signing in, and finding out who asks."""

DOOR = Acting("harmline_door")
"""Keeps deliveries, and can read none of them."""

WORKER = Acting("harmline_worker")
"""The work behind the doors and the commands: across members and organizations."""

ITSELF = Acting("none")
"""Whoever logged in, without taking on a role: the owner's own work, backups and restores."""
