"""Of what a member was told or asked, and what stands in the way of an organization. Ids and words only."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class MemberNotice(Base):
    """That a member is told of an incident: taken once, before anything is sent.

    `letter_id`: the letter that tells of it; None for what was there before members were told of anything.
    """

    __tablename__ = "member_notice"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    letter_id: Mapped[UUID | None] = mapped_column(ForeignKey("letter.id"), index=True)
    taken_at: Mapped[datetime]


class ConsentRequest(Base):
    """When a member was last asked whether what comes over a connection may be kept."""

    __tablename__ = "consent_request"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    asked_at: Mapped[datetime]


class AlarmKind(StrEnum):
    """What stands in the way. From PARKED on they are of a whole organization, or of all; the others of one connection."""

    SILENT = "silent"
    CREDENTIALS = "credentials"
    FAILING = "failing"
    DRIFT = "drift"
    SET_ASIDE = "set_aside"
    UNHANDLED = "unhandled"
    MADE_UP = "made_up"
    NOT_FOUND = "not_found"
    EXPIRING = "expiring"
    PARTLY = "partly"
    REFUSED = "refused"
    BURST = "burst"
    FEWER = "fewer"
    PARKED = "parked"
    MAIL = "mail"
    ACCOUNTS = "accounts"
    LEDGER = "ledger"
    CANARY = "canary"
    CLOCK = "clock"
    DISK = "disk"
    UNWITNESSED = "unwitnessed"
    UNSTAMPED = "unstamped"
    FOLDERS = "folders"


class Alarm(Base):
    """One thing that stands in the way, from when it was first seen until it was over; one open of a kind at a time.

    `connection_id` None: the whole organization. `last_seen_at`: when it was last found to be so.
    """

    __tablename__ = "alarm"
    __table_args__ = (
        Index("ix_alarm_organization_id_opened_at", "organization_id", "opened_at"),
        Index(
            "uq_alarm_open_connection",
            "connection_id",
            "kind",
            unique=True,
            sqlite_where=text("closed_at IS NULL AND connection_id IS NOT NULL"),
            postgresql_where=text("closed_at IS NULL AND connection_id IS NOT NULL"),
        ),
        Index(
            "uq_alarm_open_organization",
            "organization_id",
            "kind",
            unique=True,
            sqlite_where=text("closed_at IS NULL AND connection_id IS NULL"),
            postgresql_where=text("closed_at IS NULL AND connection_id IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"))
    connection_id: Mapped[UUID | None] = mapped_column(ForeignKey("connection.id"))
    kind: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
