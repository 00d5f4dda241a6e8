"""Keys: the top key outside the database wraps each organization's keys, and those wrap everything else.

Lanes: `factual` (receipts, members) and `counsel` (counsel's own words). Destroying a wrapped key destroys what it sealed.
What the door has of the factual lane is in `kit/door_keys`, wrapped by a key of the door's own.
A key of an organization has versions, so that it can be replaced (app/rotation.py): what is sealed says under which. Version 0
holds what never changes: the keys of blind indexes and of the ledger's salts.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import LargeBinary, String, select, text
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Mapped, SessionTransaction, mapped_column

from app.kit import clock, crypto, indexes
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Base, Transaction
from app.kit.door_keys import INDEXES, DoorRing, Handed, has_handed_over
from app.kit.slot import Slot, SlotKey
from app.kit.vault import HeldKeys, Vault

NOBODY = UUID(int=0)
UNCHANGING = 0
JUST_NOW = timedelta(minutes=10)
"""How long after the end of a version somebody may still hold a row as it was before, and is to read it again."""

_HELD = "keys held"
_LOOKS = 3
"""A look finds nothing where the version that it waited for was ended meanwhile: then there is a newer one."""
_MAKING_KEYS = 5_718_201
"""The advisory lock of PostgreSQL: shared by whoever makes keys, alone for whoever replaces the top key."""


class Lane(StrEnum):
    """Which side of the wall a key serves."""

    FACTUAL = "factual"
    COUNSEL = "counsel"


SYSTEM_LANE = "system"
"""Nobody's lane, of indexes over all organizations; nothing is sealed in it."""


class OrganizationKey(Base):
    """One version of one organization's key of one lane, wrapped by the top key named `top`; None once it is destroyed.

    `top`: None for what was wrapped before top keys had names. Version 0: see `Unchanging`.
    """

    __tablename__ = "organization_key"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    lane: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    top: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]


class Unchanging(msgspec.Struct, frozen=True):
    """The keys that are never replaced, because what they made must stay equal: by purpose, and `root` for every other one.

    `later`: the keys of later versions of blind indexes, by field, the oldest first (kit/indexes).
    """

    by_purpose: dict[str, bytes]
    root: bytes
    later: dict[str, list[bytes]] = {}

    @staticmethod
    def of(key: bytes) -> "Unchanging":
        """What an organization's first key gave; the first key itself cannot be had from it."""
        known = {purpose: crypto.derive(key, purpose) for purpose in _OF_THE_FIRST_KEY}
        return Unchanging(known, crypto.derive(key, "unchanging"))

    def key(self, purpose: str) -> bytes:
        """The key for one purpose."""
        return self.by_purpose.get(purpose) or crypto.derive(self.root, purpose)

    def raised(self, field: str, index: bytes) -> list[bytes]:
        """A blind index that is there, in each version from its own to the newest."""
        return indexes.raised(index, self.later.get(indexes.keyed_as(field), ()))

    def dumps(self) -> bytes:
        """As it is wrapped."""
        return msgspec.json.encode(self)

    @staticmethod
    def loads(raw: bytes) -> "Unchanging":
        """What `dumps` wrote."""
        return msgspec.json.decode(raw, type=Unchanging)


_FIELDS = (
    *("account.email", "member.external_id", "enrollment.reference", "receipt.body", "receipt.page", "event.content"),
    *("alert.identity", "look_up.identity", "institution", "canary.address"),
)
_OF_THE_FIRST_KEY = ("ledger:salt", *(f"index:{field}" for field in _FIELDS))
"""Purposes from before keys had versions. A newer one must not be added here: it comes from `Unchanging.root`."""


def place_of(organization_id: UUID, lane: str, version: int) -> bytes:
    """Where the wrapped form of an organization's key stands."""
    number = () if version == 1 else (version,)  # as it was before keys had versions
    return crypto.place("organization_key", "wrapped", organization_id, lane, *number)


_S = TypeVar("_S")


class OpenedKeys:
    """One organization's key of one lane, opened, in all its versions; in memory only."""

    def __init__(
        self,
        organization_id: UUID,
        versions: Mapping[int, bytes],
        unchanging: Unchanging | None = None,
        destroyed: Mapping[int, datetime] | None = None,
    ) -> None:
        """`versions`: 32 bytes each, unwrapped, by number; `unchanging`: None while the first version is there to derive it."""
        self.version = max(versions)
        self.key = versions[self.version]
        self.unchanging = unchanging or Unchanging.of(versions[1])
        self._organization = str(organization_id)
        self._destroyed = destroyed or {}
        self._ready: dict[str, crypto.KeyedHash] = {}
        self._wrapping = {number: crypto.Sealer(crypto.derive(key, "wrap"), number) for number, key in versions.items()}
        self._sealing = {number: crypto.Sealer(crypto.derive(key, "seal"), number) for number, key in versions.items()}
        self._handed = {number: crypto.derive(key, "door") for number, key in versions.items()}
        self._for_door = {number: crypto.Sealer(key, number, crypto.FOR_DOOR) for number, key in self._handed.items()}
        self._slots = {number: SlotKey(crypto.derive(key, "slot")) for number, key in versions.items()}
        self._slot = Slot(self._slots[self.version].public, self.version)

    def sub_key(self, purpose: str) -> bytes:
        """The key for one purpose, the same whatever version is the newest."""
        return self.unchanging.key(purpose)

    def keyed_hash(self, purpose: str, value: bytes) -> bytes:
        """HMAC-SHA-256 under the key for one purpose."""
        return (self._ready.get(purpose) or self._ready.setdefault(purpose, crypto.KeyedHash(self.sub_key(purpose)))).of(value)

    def index(self, field: str, value: bytes, version: int = 0) -> bytes:
        """A blind index, in its newest version or in that one: equal values of one field give equal bytes, and nothing else."""
        return self.indexes(field, value)[version - 1]

    def indexes(self, field: str, value: bytes) -> list[bytes]:
        """A blind index in every version, the oldest first: to look for what may not be under the newest yet."""
        return self.unchanging.raised(field, self.keyed_hash(f"index:{field}", value))

    def index_version(self, field: str) -> int:
        """The newest version of a field's index."""
        return 1 + len(self.unchanging.later.get(field, ()))

    def wrap_new(self, *where: object) -> tuple[bytes, bytes]:
        """A fresh key for one row and its wrapped form: `(key, wrapped)`."""
        key = crypto.new_key()
        return key, self.wrap(key, *where)

    def wrap(self, key: bytes, *where: object) -> bytes:
        """A row's key, wrapped under the newest version."""
        return self._wrapping[self.version].seal(key, self._place(where))

    def unwrap(self, wrapped: bytes, *where: object) -> bytes:
        """The key that was wrapped or put in for the same row; raises Unreadable otherwise, and KeysAway."""
        if wrapped[:1] == crypto.IN_SLOT:
            return self._of(self._slots, wrapped).unseal(wrapped, self._place(where))
        return self._of(self._wrapping, wrapped).unseal(wrapped, self._place(where))

    def put_in_slot(self, key: bytes, *where: object) -> bytes:
        """A row's key, as the door puts it in, which cannot take it out; opened by `unwrap`."""
        return self._slot.put(key, self._place(where))

    def seal_for_door(self, value: bytes, *where: object) -> bytes:
        """Seal what the door is to open too, under the newest version."""
        return self._for_door[self.version].seal(value, self._place(where))

    def open_for_door(self, sealed: bytes, *where: object) -> bytes:
        """Open what `seal_for_door` made for the same place, or `seal` before there was that; raises Unreadable, and KeysAway."""
        sealers = self._for_door if sealed[:1] == crypto.FOR_DOOR else self._sealing
        return self._of(sealers, sealed).unseal(sealed, self._place(where))

    def handed(self) -> dict[int, Handed]:
        """What each version hands over to the door."""
        first = {field: self.sub_key(f"index:{field}") for field in INDEXES}
        later = {field: self.unchanging.later.get(field, []) for field in INDEXES}
        return {number: Handed(key, self._slots[number].public, first, later) for number, key in self._handed.items()}

    def seal(self, value: bytes, *where: object) -> bytes:
        """Seal directly under the newest version."""
        return self._sealing[self.version].seal(value, self._place(where))

    def unseal(self, sealed: bytes, *where: object) -> bytes:
        """Open what `seal` made for the same place; raises Unreadable otherwise, and KeysAway."""
        return self._of(self._sealing, sealed).unseal(sealed, self._place(where))

    def _place(self, where: tuple[object, ...]) -> bytes:
        return crypto.place(self._organization, *where)

    def _of(self, sealers: Mapping[int, _S], sealed: bytes) -> _S:
        number = crypto.version_of(sealed)
        found = sealers.get(number)
        if found is not None:
            return found
        ended = self._destroyed.get(number)
        if ended is not None and clock.now() - ended < JUST_NOW:
            raise KeysAway("the key of this row was just replaced: read the row again")
        raise Unreadable


class Keyring:
    """Opens and makes wrapped keys. Holds the organization keys it has opened in memory only."""

    def __init__(self, top_key: bytes | Vault, door: Vault | None = None) -> None:
        """`top_key`: 32 bytes, or where it is. `door`: where the door's key is; beside a key in bytes it is derived from that.

        Without a door's key all goes by the top key, deliveries too.
        """
        if isinstance(top_key, bytes) and door is None:
            door = HeldKeys(crypto.derive(top_key, "door's key"))
        self.vault: Vault = HeldKeys(top_key) if isinstance(top_key, bytes) else top_key
        self.door = DoorRing(door) if door is not None else None
        self._opened: dict[tuple[UUID, Lane], tuple[_Rows, OpenedKeys]] = {}
        self._system: tuple[object, Unchanging] | None = None

    async def system_index(self, tx: Transaction, field: str, value: str) -> bytes:
        """A blind index over all organizations (a sign-in address, before the organization is known), in its newest version."""
        keys = await self.unchanging_of_all(tx)
        return keys.raised(field, crypto.keyed_hash(keys.key(f"index:{field}"), value.encode()))[-1]

    async def unchanging_of_all(self, tx: Transaction) -> Unchanging:
        """The keys of indexes over all organizations: their own, once there are; until then they come from the first top key."""
        row = (await _rows(tx, NOBODY, SYSTEM_LANE)).get(UNCHANGING)
        if self._system is None or self._system[0] != row:
            self._system = row, await self._unchanging_of(row)
        return self._system[1]

    async def _unchanging_of(self, row: "tuple[bytes | None, str | None, datetime | None] | None") -> Unchanging:
        if row is not None and row[0] is not None:
            return Unchanging.loads(await self.vault.unwrap(row[1], row[0], place_of(NOBODY, SYSTEM_LANE, UNCHANGING)))
        if self.vault.first is None:
            raise KeysAway("the key of indexes over all organizations is missing")
        return Unchanging.of(self.vault.first)

    async def make(self, tx: Transaction, organization_id: UUID, lane: str, version: int, key: bytes) -> None:
        """Add one version of a key, wrapped by the newest top key. It counts for whoever reads it after the COMMIT."""
        await _while_no_top_key_is_replaced(tx)
        marker = (await _rows(tx, NOBODY, SYSTEM_LANE)).get(UNCHANGING)
        if marker is not None and marker[1] != self.vault.newest:
            await self.vault.refresh()  # another process has replaced the top key
        where = place_of(organization_id, lane, version)
        row = {"organization_id": organization_id, "lane": lane, "version": version, "created_at": clock.now()}
        tx.add(OrganizationKey(**row, wrapped=await self.vault.wrap(key, where), top=self.vault.newest))
        await tx.flush()
        self._opened = {place: known for place, known in self._opened.items() if place != (organization_id, lane)}

    async def create_organization(self, tx: Transaction, organization_id: UUID) -> None:
        """Make both lanes' keys of a new organization."""
        for lane in Lane:
            key = crypto.new_key()
            await self.make(tx, organization_id, lane, 1, key)
            if lane is Lane.FACTUAL:
                await self.hand_over(tx, organization_id, OpenedKeys(organization_id, {1: key}))

    async def hand_over(self, tx: Transaction, organization_id: UUID, keys: OpenedKeys, *, anew: bool = False) -> None:
        """Hand over to the door what it needs of these versions of the factual lane; `anew`: whichever key it has.

        Without that key it is left to others; raises KeysAway where the door would go on with a version before these.
        """
        if self.door is not None and (anew or await self.door.is_the_one(tx)):
            for version, handed in keys.handed().items():
                await self.door.hand_over(tx, organization_id, version, handed)
        elif await has_handed_over(tx, organization_id):
            raise KeysAway("this is not the door's key: let HARMLINE_DOOR_KEY_FILE name the file that the door has")

    async def opened(self, tx: Transaction, organization_id: UUID, lane: Lane = Lane.FACTUAL) -> OpenedKeys:
        """An organization's key, as far as this process knows its versions: to open, and for indexes.

        Raises Unreadable when the top key is not the one that wrapped it.
        """
        known = self._opened.get((organization_id, lane))
        return known[1] if known is not None else await self.refreshed(tx, organization_id, lane)

    async def refreshed(self, tx: Transaction, organization_id: UUID, lane: Lane = Lane.FACTUAL) -> OpenedKeys:
        """An organization's key in all the versions that the transaction sees."""
        rows = await _rows(tx, organization_id, lane)
        if not rows:
            raise NoResultFound
        known = self._opened.get((organization_id, lane))
        if known is not None and known[0] == rows:
            return known[1]
        opened = await self._open(organization_id, lane, rows)
        self._opened[organization_id, lane] = rows, opened
        return opened

    async def _open(self, organization_id: UUID, lane: Lane, rows: "_Rows") -> OpenedKeys:
        keys = {
            version: await self.vault.unwrap(top, wrapped, place_of(organization_id, lane, version))
            for version, (wrapped, top, _) in rows.items()
            if wrapped is not None
        }
        kept = keys.pop(UNCHANGING, None)
        destroyed = {version: at for version, (_, _, at) in rows.items() if at is not None}
        return OpenedKeys(organization_id, keys, Unchanging.loads(kept) if kept else None, destroyed)

    async def for_writing(self, tx: Transaction, organization_id: UUID, lane: Lane = Lane.FACTUAL) -> OpenedKeys:
        """An organization's key in its newest version, which will not be destroyed before this transaction has ended.

        It costs one look for each transaction. Whatever is sealed or wrapped under an organization's key begins here.
        """
        held: dict[tuple[UUID, Lane], tuple[SessionTransaction, OpenedKeys]] = tx.info.setdefault(_HELD, {})
        known = held.get((organization_id, lane))
        under_way = list(_under_way(tx))
        if known is not None and known[0] in under_way:  # who goes back to a savepoint gives up what was held since
            return known[1]
        version, wrapped = await _hold_newest(tx, organization_id, lane)
        remembered = self._opened.get((organization_id, lane))
        if remembered is not None and remembered[1].version == version and remembered[0][version][0] == wrapped:
            keys = remembered[1]
        else:
            keys = await self.refreshed(tx, organization_id, lane)
        held[organization_id, lane] = under_way[0], keys
        return keys

    async def index(self, tx: Transaction, organization_id: UUID, field: str, value: bytes | str) -> bytes:
        """A blind index within one organization: equal values of one field give equal bytes, and nothing else."""
        raw = value.encode() if isinstance(value, str) else value
        return (await self.opened(tx, organization_id)).index(field, raw)

    async def wrap_new(self, tx: Transaction, organization_id: UUID, *where: object) -> tuple[bytes, bytes]:
        """A fresh key for one row and its wrapped form: `(key, wrapped)`."""
        return (await self.for_writing(tx, organization_id)).wrap_new(*where)

    async def unwrap(self, tx: Transaction, organization_id: UUID, wrapped: bytes, *where: object) -> bytes:
        """The key that `wrap_new` wrapped for the same row; raises Unreadable otherwise, and KeysAway."""
        try:
            return (await self.opened(tx, organization_id)).unwrap(wrapped, *where)
        except Unreadable:  # perhaps by a version that this process has not heard of
            return (await self.refreshed(tx, organization_id)).unwrap(wrapped, *where)

    async def seal(self, tx: Transaction, organization_id: UUID, lane: Lane, text: str, *where: object) -> bytes:
        """Seal a text directly under an organization's key of one lane, bound to its place."""
        return (await self.for_writing(tx, organization_id, lane)).seal(text.encode(), *where)

    async def unseal(self, tx: Transaction, organization_id: UUID, lane: Lane, sealed: bytes, *where: object) -> str:
        """Open what `seal` made for the same organization, lane and place; raises Unreadable otherwise, and KeysAway."""
        try:
            return (await self.opened(tx, organization_id, lane)).unseal(sealed, *where).decode()
        except Unreadable:
            return (await self.refreshed(tx, organization_id, lane)).unseal(sealed, *where).decode()


_Rows = Mapping[int, tuple[bytes | None, str | None, datetime | None]]
"""By version: what is wrapped, the name of the top key, when it was destroyed."""


async def _rows(tx: Transaction, organization_id: UUID, lane: str) -> _Rows:
    columns = (OrganizationKey.version, OrganizationKey.wrapped, OrganizationKey.top, OrganizationKey.destroyed_at)
    query = select(*columns).where(OrganizationKey.organization_id == organization_id, OrganizationKey.lane == lane)
    return {version: (wrapped, top, at) for version, wrapped, top, at in (await tx.execute(query)).all()}


def _under_way(tx: Transaction) -> Iterator[SessionTransaction]:
    """The transaction and the savepoints in it that are open, the innermost first."""
    one = tx.sync_session.get_nested_transaction() or tx.sync_session.get_transaction()
    while one is not None:
        yield one
        one = one.parent


async def _hold_newest(tx: Transaction, organization_id: UUID, lane: Lane) -> tuple[int, bytes]:
    """The newest version and its wrapped form; that version outlives the transaction."""
    mine = (OrganizationKey.organization_id == organization_id, OrganizationKey.lane == lane)
    query = select(OrganizationKey.version, OrganizationKey.wrapped).where(*mine, OrganizationKey.wrapped.is_not(None))
    newest = query.order_by(OrganizationKey.version.desc()).limit(1)
    if tx.get_bind().dialect.name == "postgresql":  # SQLite has one writer, which is us
        newest = newest.with_for_update(read=True, key_share=True)
    for _ in range(_LOOKS):
        row = (await tx.execute(newest)).one_or_none()
        if row is not None and row.wrapped is not None:
            return row.version, row.wrapped
    raise NoResultFound


async def _while_no_top_key_is_replaced(tx: Transaction) -> None:
    if tx.get_bind().dialect.name == "postgresql":
        await tx.execute(text(f"SELECT pg_advisory_xact_lock_shared({_MAKING_KEYS})"))


async def while_nobody_makes_keys(tx: Transaction) -> None:
    """Until the end of the transaction nobody makes a key of an organization."""
    if tx.get_bind().dialect.name == "postgresql":
        await tx.execute(text(f"SELECT pg_advisory_xact_lock({_MAKING_KEYS})"))
