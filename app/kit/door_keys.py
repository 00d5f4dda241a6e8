"""What the door has to take deliveries in: enough to verify and to keep them, nothing that opens one.

The door's key is a key of its own, in a file of its own; it wraps, for each version of an organization's key, what that version
hands over to the door. All of it is derived from that version, so it can be handed over anew as long as the top key is there:
the door's file may be lost, and nothing with it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from sqlalchemy import LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from app.kit import clock, crypto, indexes
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Base, Transaction, upsert
from app.kit.slot import Slot
from app.kit.vault import Vault

INDEXES = ("receipt.body",)
"""The fields whose blind index the door computes: whether the same bytes were here before."""


class DoorKey(Base):
    """What one version of an organization's key has handed over to the door, wrapped by the door's key named `door`."""

    __tablename__ = "door_key"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    door: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


class Handed(msgspec.Struct, frozen=True):
    """What is handed over. `sealing`: what verifies deliveries is sealed by it; `public`: receipts' keys are put in by it.

    `later`: the keys of later versions of the indexes, the oldest first (kit/indexes).
    """

    sealing: bytes
    public: bytes
    indexes: dict[str, bytes]
    later: dict[str, list[bytes]] = {}


class Keeping(Protocol):
    """The keys that keeping a receipt takes."""

    @property
    def version(self) -> int:
        """Of the organization's key: the receipt is kept only while that one lives."""

    def index(self, field: str, value: bytes, version: int = 0) -> bytes:
        """A blind index, in its newest version or in that one. Raises KeysAway for a field that is none of these keys'."""

    def put_in_slot(self, key: bytes, *where: object) -> bytes:
        """A receipt's own key, so that only who has the top key takes it out."""


class AtTheDoor(Keeping, Protocol):
    """The keys that taking in a delivery takes."""

    def open_for_door(self, sealed: bytes, *where: object) -> bytes:
        """What verifies deliveries. Raises Unreadable, and KeysAway where it takes the top key."""


def place_of(organization_id: UUID, version: int) -> bytes:
    """Where the wrapped form of what was handed over stands."""
    return crypto.place("door_key", "wrapped", organization_id, version)


class DoorKeys:
    """What one organization has handed over, opened, in all its versions; in memory only."""

    def __init__(self, organization_id: UUID, versions: Mapping[int, Handed]) -> None:
        """`versions`: those that live, by number."""
        self.version = max(versions)
        newest = versions[self.version]
        self._place = crypto.place(organization_id)
        self._indexes = {field: crypto.KeyedHash(key) for field, key in newest.indexes.items()}
        self._later = newest.later
        self._slot = Slot(newest.public, self.version)
        self._sealers = {n: crypto.Sealer(handed.sealing, n, crypto.FOR_DOOR) for n, handed in versions.items()}

    def index(self, field: str, value: bytes, version: int = 0) -> bytes:
        """See `Keeping`."""
        hashing, later = self._indexes.get(field), self._later.get(field, ())
        if hashing is None or version > 1 + len(later):
            raise KeysAway(f"the door has no key of {field}")
        first = hashing.of(value)
        return indexes.raised(first, later)[version - 1] if later else first

    def put_in_slot(self, key: bytes, *where: object) -> bytes:
        """See `Keeping`."""
        return self._slot.put(key, self._place + crypto.place(*where))

    def open_for_door(self, sealed: bytes, *where: object) -> bytes:
        """See `AtTheDoor`."""
        number = crypto.version_of(sealed)
        if sealed[:1] != crypto.FOR_DOOR or number not in self._sealers:
            raise KeysAway("this was not handed over to the door")
        return self._sealers[number].unseal(sealed, self._place + crypto.place(*where))


class DoorRing:
    """Opens and makes what is handed over. Holds what it has opened in memory only."""

    def __init__(self, vault: Vault) -> None:
        """`vault`: where the door's key is."""
        self.vault = vault
        self._opened: dict[UUID, tuple[Mapping[int, tuple[bytes, str]], DoorKeys]] = {}

    async def opened(self, tx: Transaction, organization_id: UUID) -> DoorKeys:
        """What the door has of an organization, as it is now.

        Raises KeysAway where nothing was handed over to this door's key, Unreadable where that is not what it was.
        """
        query = select(DoorKey.version, DoorKey.wrapped, DoorKey.door).where(DoorKey.organization_id == organization_id)
        rows = {version: (wrapped, door) for version, wrapped, door in (await tx.execute(query)).all()}
        known = self._opened.get(organization_id)
        if known is not None and known[0] == rows:
            return known[1]
        if not rows:
            raise KeysAway("nothing was handed over to the door yet")
        opened = DoorKeys(
            organization_id,
            {
                version: msgspec.json.decode(
                    await self.vault.unwrap(door, wrapped, place_of(organization_id, version)), type=Handed
                )
                for version, (wrapped, door) in rows.items()
            },
        )
        self._opened[organization_id] = rows, opened
        return opened

    async def is_the_one(self, tx: Transaction) -> bool:
        """Whether the key here is the one that the door has: it opens what was handed over, or nothing was.

        What it hands over then is wrapped by the key that is the newest now, also where another process has just replaced it.
        """
        row = (await tx.execute(select(DoorKey).order_by(DoorKey.created_at.desc()).limit(1))).scalar_one_or_none()
        if row is None:
            return True
        try:
            await self.vault.unwrap(row.door, row.wrapped, place_of(row.organization_id, row.version))
        except (KeysAway, Unreadable):
            return False
        return True

    async def hand_over(self, tx: Transaction, organization_id: UUID, version: int, handed: Handed) -> None:
        """Wrap this by the newest key of the door, also where it was handed over before."""
        where = place_of(organization_id, version)
        wrapped = await self.vault.wrap(msgspec.json.encode(handed), where)
        values = {"wrapped": wrapped, "door": self.vault.newest, "created_at": clock.now()}
        insert = upsert(tx, DoorKey).values(organization_id=organization_id, version=version, **values)
        await tx.execute(insert.on_conflict_do_update(index_elements=["organization_id", "version"], set_=values))


async def doors(tx: Transaction) -> set[str]:
    """The names of the door's keys by which anything is wrapped: one, unless it is just being replaced."""
    return set((await tx.execute(select(DoorKey.door).distinct())).scalars())


async def has_handed_over(tx: Transaction, organization_id: UUID) -> bool:
    """Whether an organization has handed over anything."""
    query = select(DoorKey.version).where(DoorKey.organization_id == organization_id).limit(1)
    return (await tx.execute(query)).first() is not None


async def take_back(tx: Transaction, organization_id: UUID, versions: list[int]) -> None:
    """Destroy what these versions have handed over."""
    gone = delete(DoorKey).where(DoorKey.organization_id == organization_id, DoorKey.version.in_(versions))
    await tx.execute(gone)
