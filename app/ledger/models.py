"""The ledger, and the list of what was deleted. The migrations forbid every change of a row, by triggers and by grants."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class LedgerEntry(Base):
    """One act: ids and a salted commitment, no personal data. `subjects` names ids only, by what they are."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index("ix_ledger_entry_organization_id_id", "organization_id", "id"),
        Index("ix_ledger_entry_member_id_id", "member_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(40))
    member_id: Mapped[UUID | None]
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str | None] = mapped_column(String(20))
    subjects: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    commitment: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class Deletion(Base):
    """One deletion: what, how much of it, why, by whom. `subjects` names ids only; nothing of what was deleted is in it."""

    __tablename__ = "deletion"
    __table_args__ = (Index("ix_deletion_organization_id_id", "organization_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID | None]
    what: Mapped[str] = mapped_column(String(40))
    count: Mapped[int]
    reason: Mapped[str] = mapped_column(String(200))
    subjects: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str | None] = mapped_column(String(20))
    at: Mapped[datetime]


class Pending(Base):
    """An entry that waits for its place in its organization's log. A trigger writes it, by the statement of the entry itself."""

    __tablename__ = "ledger_pending"
    __table_args__ = ({"sqlite_with_rowid": False},)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(primary_key=True)


class Head(Base):
    """How far one organization's log has come: `size` leaves, the first `read_back` of them read again and found whole.

    Lease and fence say who may make it longer: `fence` rises with every change of hands. `verified_at`: when all of it was last
    verified, and `found_wrong`: how many things were wrong then.
    """

    __tablename__ = "ledger_head"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    read_back: Mapped[int] = mapped_column(BigInteger, default=0)
    verified_at: Mapped[datetime | None]
    found_wrong: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)


class Leaf(Base):
    """One entry's place in its organization's log, from 0 on without a gap, and its hash (32 bytes)."""

    __tablename__ = "ledger_leaf"
    __table_args__ = ({"sqlite_with_rowid": False},)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[UUID] = mapped_column(unique=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class Subtree(Base):
    """The root (32 bytes) over the 256^level leaves from `position` * 256^level on; level 1 or higher."""

    __tablename__ = "ledger_subtree"
    __table_args__ = ({"sqlite_with_rowid": False},)

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class Checkpoint(Base):
    """The root (32 bytes) of the first `size` leaves, and the signed note that says so, byte for byte."""

    __tablename__ = "ledger_checkpoint"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    note: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class Cosignature(Base):
    """A witness's line under a checkpoint, as it came. No foreign key: PostgreSQL would lock rows that nobody may lock."""

    __tablename__ = "ledger_cosignature"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(String(200), primary_key=True)
    line: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Timestamp(Base):
    """What an RFC 3161 authority answered about a checkpoint, byte for byte."""

    __tablename__ = "ledger_timestamp"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    authority: Mapped[str] = mapped_column(String(200), primary_key=True)
    response: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


class Signer(Base):
    """An Ed25519 key that signs one organization's checkpoints: the newest by `number`. The organization's key seals the seed.

    `origin`: the log's name, of the public host at the time of the first; it stays when the service moves to another host.
    """

    __tablename__ = "ledger_signer"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str] = mapped_column(String(300))
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    seed_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
