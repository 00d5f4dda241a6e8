"""Everything that hangs directly on an organization's key: the keys of rows, and the texts that are sealed by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, LargeBinary, and_, func, literal, select

from app.access.models import Account, IdentityProvider, Password
from app.breaches.models import Matter
from app.connections.models import Connection, ConnectionSecret, DisputedRange
from app.evidence.models import Packet
from app.intake.models import Event, Receipt
from app.kit import crypto
from app.kit.database import Base
from app.kit.keyring import Lane, OpenedKeys
from app.ledger.models import Signer
from app.members.models import LegalHold, Member

_HEADER_BYTES = len(crypto.header(1))


_THROUGH: dict[type[Base], tuple[Any, Any]] = {
    ConnectionSecret: (ConnectionSecret.connection_id, Connection),
    Password: (Password.account_id, Account),
}
"""Tables that do not say whose their rows are, by what does."""


class How(StrEnum):
    """How a column hangs on an organization's key."""

    WRAPPED = "a row's key, wrapped"
    IN_SLOT = "a row's key, put in by who cannot take it out; before there were slots, wrapped"
    SEALED = "a text, sealed"
    FOR_DOOR = "a text, sealed so that the door opens it too; before the door had a key, just sealed"


@dataclass(frozen=True)
class Place:
    """A column that holds row keys or texts under an organization's key of one lane.

    `words` and `ids`: what each value is bound to, the ids by their columns.
    """

    table: type[Base]
    column: str
    words: tuple[str, ...]
    ids: tuple[str, ...] = ("id",)
    lane: Lane = Lane.FACTUAL
    how: How = How.SEALED

    @property
    def name(self) -> str:
        """The column with its table."""
        return f"{self.table.__tablename__}.{self.column}"

    def value(self) -> Any:
        """The column, to select by."""
        return getattr(self.table, self.column)

    def key(self) -> list[Any]:
        """The columns of the primary key."""
        return list(self.table.__table__.primary_key.columns)  # type: ignore[attr-defined]

    def of(self, organization_id: UUID) -> ColumnElement[bool]:
        """The rows of one organization."""
        own = getattr(self.table, "organization_id", None)
        if own is not None:
            return and_(own == organization_id)
        column, parent = _THROUGH[self.table]
        return and_(column.in_(select(parent.id).where(parent.organization_id == organization_id)))

    def not_under(self, version: int) -> ColumnElement[bool]:
        """The rows that hold something under another version, or what the door is to open and cannot."""
        begins = func.substr(self.value(), 1, _HEADER_BYTES)
        good = [literal(crypto.header(version, form), LargeBinary) for form in _FORMS[self.how]]
        return and_(self.value().is_not(None), begins != b"", begins.not_in(good))

    def open(self, keys: OpenedKeys, row: Mapping[str, Any]) -> bytes:
        """What the row holds. Raises Unreadable."""
        value, where = row[self.column], self._where(row)
        if self.how is How.FOR_DOOR:
            return keys.open_for_door(value, *where)
        return keys.unseal(value, *where) if self.how is How.SEALED else keys.unwrap(value, *where)

    def put(self, keys: OpenedKeys, value: bytes, row: Mapping[str, Any]) -> bytes:
        """How a row is to hold this, under the newest version."""
        puts = {
            How.WRAPPED: keys.wrap,
            How.IN_SLOT: keys.put_in_slot,
            How.SEALED: keys.seal,
            How.FOR_DOOR: keys.seal_for_door,
        }
        return puts[self.how](value, *self._where(row))

    def again(self, keys: OpenedKeys, row: Mapping[str, Any]) -> bytes:
        """What the row holds, under the newest version. Raises Unreadable."""
        return self.put(keys, self.open(keys, row), row)

    def _where(self, row: Mapping[str, Any]) -> tuple[object, ...]:
        return (*self.words, *(row[name] for name in self.ids))


_FORMS = {
    How.WRAPPED: (crypto.NUMBERED,),
    How.IN_SLOT: (crypto.NUMBERED, crypto.IN_SLOT),
    How.SEALED: (crypto.NUMBERED,),
    How.FOR_DOOR: (crypto.FOR_DOOR,),
}
"""How a value may begin that is as it should be, but for its version."""

PLACES = (
    Place(Member, "wrapped_key", ("member",), how=How.WRAPPED),
    Place(Receipt, "wrapped_key", ("receipt",), how=How.IN_SLOT),
    Place(Event, "wrapped_key", ("event",), how=How.WRAPPED),
    Place(Packet, "wrapped_key", ("packet", "wrapped_key"), how=How.WRAPPED),
    Place(Packet, "claim_sealed", ("packet", "claim_sealed")),
    Place(Receipt, "remains_sealed", ("receipt", "remains_sealed")),
    Place(Account, "email_sealed", ("account", "email_sealed")),
    Place(Password, "code_secret_sealed", ("password", "code_secret_sealed"), ("account_id",)),
    Place(IdentityProvider, "secret_sealed", ("identity_provider", "secret_sealed")),
    Place(Connection, "config_sealed", ("connection", "config_sealed")),
    Place(Connection, "sources_sealed", ("connection", "sources_sealed"), how=How.FOR_DOOR),
    Place(ConnectionSecret, "sealed", ("connection_secret",), ("connection_id", "id"), how=How.FOR_DOOR),
    Place(DisputedRange, "reason_sealed", ("disputed_range", "reason_sealed"), ("connection_id", "id")),
    Place(Signer, "seed_sealed", ("ledger_signer", "seed_sealed"), ("organization_id", "number")),
    Place(Matter, "title_sealed", ("matter", "title_sealed"), lane=Lane.COUNSEL),
    Place(LegalHold, "reason_sealed", ("legal_hold",), lane=Lane.COUNSEL),
)
"""Everything that hangs directly on an organization's key. All else hangs on the key of a row, which is wrapped anew."""
