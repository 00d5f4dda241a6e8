"""Roles, and who is asking."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.ledger.service import Actor


class Role(StrEnum):
    """What somebody is to one organization. Nobody is two of these in one session."""

    MEMBER = "member"
    STAFF = "staff"
    CASEWORKER = "caseworker"
    COUNSEL = "counsel"
    ADMIN = "admin"
    AUDITOR = "auditor"


class Standing(StrEnum):
    """How far a session lets in.

    MAILBOX: whoever it is reads the mail of somebody who has other ways to sign in. SETUP: they may make themselves a way to
    sign in, and nothing else. FULL: signed in.
    """

    MAILBOX = "mailbox"
    SETUP = "setup"
    FULL = "full"


PASSKEYS_NEEDED = {Role.ADMIN: 2}
"""Roles that need more than one way in: an admin who loses the only key would leave an organization without one."""


@dataclass(frozen=True)
class Principal:
    """Who asks: one account in one role of one organization. `scopes` is None for a person, a set for a program.

    `proven_at`: when a person last showed that it is them.
    """

    organization_id: UUID
    account_id: UUID
    role: Role
    member_id: UUID | None = None
    session_id: UUID | None = None
    scopes: frozenset[str] | None = None
    standing: Standing = Standing.FULL
    proven_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        """The same, as the ledger writes it."""
        return Actor(self.account_id, self.role)
