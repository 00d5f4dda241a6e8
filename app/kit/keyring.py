"""Keys: a top key in a file outside the database wraps each organization's keys, and those wrap everything else.

Lanes: `factual` (receipts, members) and `counsel` (counsel's own words). Destroying a wrapped key destroys what it sealed.
"""

import base64
import binascii
import os
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from sqlalchemy import LargeBinary, select
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import crypto
from app.kit.database import Base, Transaction


class Lane(StrEnum):
    """Which side of the wall a key serves."""

    FACTUAL = "factual"
    COUNSEL = "counsel"


class OrganizationKey(Base):
    """One organization's key of one lane, wrapped by the top key."""

    __tablename__ = "organization_key"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    lane: Mapped[str] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


class KeyFileError(Exception):
    """The key file is missing or not a key; says which file and how to mend it."""


def read_key_file(path: Path) -> bytes:
    """The top key: 32 random bytes in base64 on one line. Raises KeyFileError."""
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except FileNotFoundError:
        raise KeyFileError(f"{path} is missing: make one with `harmline keys create`, or restore it") from None
    except binascii.Error:
        raise KeyFileError(f"{path} is not a key: it must hold 32 bytes in base64; restore it from your copy") from None
    if len(key) != crypto.KEY_BYTES:
        raise KeyFileError(f"{path} is not a key: it must hold 32 bytes in base64; restore it from your copy")
    return key


def create_key_file(path: Path) -> None:
    """Make a new top key, readable by its owner only; never overwrites one (FileExistsError)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(base64.b64encode(crypto.new_key()) + b"\n")
        file.flush()
        os.fsync(file.fileno())


class OpenedKeys:
    """One organization's key of one lane, opened, with the sub-keys that were needed so far; in memory only."""

    def __init__(self, organization_id: UUID, key: bytes) -> None:
        """`key`: 32 bytes, unwrapped."""
        self.key = key
        self._organization_id = str(organization_id)
        self._derived: dict[str, bytes] = {}
        self._wrapping = crypto.Sealer(self.sub_key("wrap"))

    def sub_key(self, purpose: str) -> bytes:
        """The key for one purpose."""
        found = self._derived.get(purpose)
        if found is None:
            found = self._derived[purpose] = crypto.derive(self.key, purpose)
        return found

    def index(self, field: str, value: bytes) -> bytes:
        """A blind index: equal values of one field give equal 32 bytes, and nothing else."""
        return crypto.keyed_hash(self.sub_key(f"index:{field}"), value)

    def wrap_new(self, *where: object) -> tuple[bytes, bytes]:
        """A fresh key for one row and its wrapped form: `(key, wrapped)`."""
        key = crypto.new_key()
        return key, self._wrapping.seal(key, crypto.place(self._organization_id, *where))

    def unwrap(self, wrapped: bytes, *where: object) -> bytes:
        """The key that `wrap_new` wrapped for the same row; raises Unreadable otherwise."""
        return crypto.unseal(self.sub_key("wrap"), wrapped, crypto.place(self._organization_id, *where))


class Keyring:
    """Opens and makes wrapped keys. Holds the top key, and the organization keys it has opened, in memory only."""

    def __init__(self, top_key: bytes) -> None:
        """`top_key`: 32 bytes."""
        self._top = top_key
        self._opened: dict[tuple[UUID, Lane], OpenedKeys] = {}

    def system_index(self, field: str, value: str) -> bytes:
        """A blind index over all organizations (a sign-in address, before the organization is known)."""
        return crypto.keyed_hash(crypto.derive(self._top, f"index:{field}"), value.encode())

    async def create_organization(self, tx: Transaction, organization_id: UUID) -> None:
        """Make both lanes' keys of a new organization."""
        for lane in Lane:
            where = crypto.place("organization_key", "wrapped", organization_id, lane)
            wrapped = crypto.seal(self._top, crypto.new_key(), where)
            tx.add(OrganizationKey(organization_id=organization_id, lane=lane, wrapped=wrapped))
        await tx.flush()

    async def opened(self, tx: Transaction, organization_id: UUID, lane: Lane = Lane.FACTUAL) -> OpenedKeys:
        """An organization's key, opened. Raises Unreadable when the top key is not the one that wrapped it."""
        known = self._opened.get((organization_id, lane))
        if known is not None:
            return known
        query = select(OrganizationKey.wrapped).where(
            OrganizationKey.organization_id == organization_id, OrganizationKey.lane == lane
        )
        wrapped = (await tx.execute(query)).scalar_one()
        where = crypto.place("organization_key", "wrapped", organization_id, lane)
        opened = self._opened[organization_id, lane] = OpenedKeys(organization_id, crypto.unseal(self._top, wrapped, where))
        return opened

    async def index(self, tx: Transaction, organization_id: UUID, field: str, value: bytes | str) -> bytes:
        """A blind index within one organization: equal values of one field give equal 32 bytes, and nothing else."""
        raw = value.encode() if isinstance(value, str) else value
        return (await self.opened(tx, organization_id)).index(field, raw)

    async def wrap_new(self, tx: Transaction, organization_id: UUID, *where: object) -> tuple[bytes, bytes]:
        """A fresh key for one row and its wrapped form: `(key, wrapped)`."""
        return (await self.opened(tx, organization_id)).wrap_new(*where)

    async def unwrap(self, tx: Transaction, organization_id: UUID, wrapped: bytes, *where: object) -> bytes:
        """The key that `wrap_new` wrapped for the same row; raises Unreadable otherwise."""
        return (await self.opened(tx, organization_id)).unwrap(wrapped, *where)

    async def seal(self, tx: Transaction, organization_id: UUID, lane: Lane, text: str, *where: object) -> bytes:
        """Seal a text directly under an organization's key of one lane, bound to its place."""
        key = (await self.opened(tx, organization_id, lane)).sub_key("seal")
        return crypto.seal(key, text.encode(), crypto.place(organization_id, *where))

    async def unseal(self, tx: Transaction, organization_id: UUID, lane: Lane, sealed: bytes, *where: object) -> str:
        """Open what `seal` made for the same organization, lane and place."""
        key = (await self.opened(tx, organization_id, lane)).sub_key("seal")
        return crypto.unseal(key, sealed, crypto.place(organization_id, *where)).decode()
