"""Roles, and who is asking."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Principal:
    """Who asks: one account in one role of one organization. `scopes` is None for a person, a set for a program."""

    organization_id: UUID
    account_id: UUID
    role: Role
    member_id: UUID | None = None
    session_id: UUID | None = None
    scopes: frozenset[str] | None = None

    @property
    def actor(self) -> Actor:
        """The same, as the ledger writes it."""
        return Actor(self.account_id, self.role)
