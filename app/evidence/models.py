"""The numbers that exhibits were given, once and for good; the packets that were asked for, and who has which."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class BatesNumber(Base):
    """The number of one exhibit in one matter. It is never taken back: a number that was told of stands for one thing for ever.

    `exhibit`: what it is, in words of ours and ids: `event:{event}`, `timeline:{member}:{size}:{variant}{scope}`, `sheet:...`.
    """

    __tablename__ = "bates_number"
    __table_args__ = (Index("uq_bates_number", "organization_id", "prefix", "number", unique=True),)

    matter_id: Mapped[UUID] = mapped_column(ForeignKey("matter.id"), primary_key=True)
    exhibit: Mapped[str] = mapped_column(String(120), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(20), primary_key=True)
    organization_id: Mapped[UUID]
    number: Mapped[int]
    given_at: Mapped[datetime]


class State(StrEnum):
    """Where a packet stands.

    LOOKING: what will be in it is being looked up. SHOWN: that is there to be read, and nobody has ordered it yet. EXPIRED: it
    was there, and its files and their key are destroyed. OUTSIDE: whoever runs the service built it into a folder of theirs.
    """

    LOOKING = "looking"
    SHOWN = "shown"
    ORDERED = "ordered"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"
    OUTSIDE = "outside"


UNDER_WAY = (State.LOOKING, State.ORDERED, State.BUILDING)
"""What a worker has to go on with."""


class Packet(Base):
    """A packet that somebody asked for. Ids, counts and times only: its content lies in files, sealed under `wrapped_key`.

    `wanted`: the order, as JSON, without the reference of the claim that it is for: that is `claim_sealed`. `outline`: what will
    be in it, in counts; then what is in it. `asked_by`, `ordered_by`: accounts of counsel; nobody's for a packet that was built
    by a command. `zip_size`: in bytes. `why_gone`: a word, of what ended it. `stored`: there may be files of it. Lease and fence
    say who works on it; `attempts`: how often that failed; `cut_short`: how often whoever did was never heard of again.
    """

    __tablename__ = "packet"
    __table_args__ = (
        Index("ix_packet_matter_id_id", "matter_id", "id"),
        Index("ix_packet_state_id", "state", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    matter_id: Mapped[UUID] = mapped_column(ForeignKey("matter.id"))
    wanted: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    claim_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(20))
    asked_by: Mapped[UUID | None]
    asked_at: Mapped[datetime]
    ordered_by: Mapped[UUID | None]
    ordered_at: Mapped[datetime | None]
    outline: Mapped[dict[str, Any] | None] = mapped_column(PortableJson)
    done: Mapped[int] = mapped_column(default=0)
    of_all: Mapped[int] = mapped_column(default=0)
    number: Mapped[str | None] = mapped_column(String(64))
    zip_size: Mapped[int | None] = mapped_column(BigInteger)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    ready_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
    why_gone: Mapped[str | None] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(String(300))
    stored: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    cut_short: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)


class PacketMember(Base):
    """A member whose data a packet holds, or is about to: written with the ledger's entry that says so.

    `connections`: ids of those over which what it shows of them came.
    """

    __tablename__ = "packet_member"

    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    packet_id: Mapped[UUID] = mapped_column(ForeignKey("packet.id"), primary_key=True, index=True)
    organization_id: Mapped[UUID]
    connections: Mapped[list[str]] = mapped_column(PortableJson)


class PacketTaken(Base):
    """Somebody downloaded a packet, or began to: written before a byte of it left."""

    __tablename__ = "packet_taken"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    packet_id: Mapped[UUID] = mapped_column(ForeignKey("packet.id"), index=True)
    organization_id: Mapped[UUID]
    account_id: Mapped[UUID]
    at: Mapped[datetime]
