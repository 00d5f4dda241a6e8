"""Arrival tables, keyed by connection: receipts, the events cut out of them, alerts, and counts of what was refused."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Date, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class ReceiptState(StrEnum):
    """How far a receipt has come. Stale and unsplittable ones wait for a person."""

    STORED = "stored"
    HANDLED = "handled"
    STALE = "stale"
    UNSPLITTABLE = "unsplittable"


class Channel(StrEnum):
    """How a receipt came in. HANDED_ON: inside another one; HANDED_IN: by a person. ENTERED: by a member, about themselves."""

    WEBHOOK = "webhook"
    POLL = "poll"
    FOLLOW_UP = "follow_up"
    HANDED_ON = "handed_on"
    HANDED_IN = "handed_in"
    ENTERED = "entered"


class EventOutcome(StrEnum):
    """What became of one event. Each event has exactly one. HANDED_ON: it held a message, which is a receipt of its own now."""

    NEW = "new"
    SIGHTING = "sighting"
    REVISION = "revision"
    NON_ALERT = "non_alert"
    BREACH_RECORD = "breach_record"
    HANDED_ON = "handed_on"
    QUARANTINED = "quarantined"


class Receipt(Base):
    """What one authentic delivery brought, byte-exact and sealed under its own key.

    `sealed` holds 32 bytes of salt and then the body; `repeats` counts further deliveries of the same bytes. Without
    `wrapped_key` the body is gone for good, and hash, verification and ledger entry remain. `asked_sealed` is what a fetched
    body was asked with, `about_index` whose it is (as in the enrollment), `answers_event` the event whose notice it answers.
    `remains_sealed` is what is left after a contract's term: the hash of the body, and the salt of its ledger entry.
    """

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("connection_id", "body_hash"),
        Index("ix_receipt_about", "connection_id", "about_index"),
        Index("ix_receipt_last_received", "connection_id", "last_received_at"),
        Index(
            "ix_receipt_set_aside",
            "organization_id",
            "id",
            sqlite_where=text("state IN ('stale', 'unsplittable')"),
            postgresql_where=text("state IN ('stale', 'unsplittable')"),
        ),
        Index(
            "ix_receipt_waiting",
            "state",
            "id",
            sqlite_where=text("state = 'stored'"),
            postgresql_where=text("state = 'stored'"),
        ),
    )

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    body_hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    channel: Mapped[str] = mapped_column(String(20))
    verification: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    headers_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    asked_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    about_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    answers_event: Mapped[UUID | None]
    remains_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    grade: Mapped[str] = mapped_column(String(20))
    received_at: Mapped[datetime]
    last_received_at: Mapped[datetime]
    repeats: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(200))
    handled_at: Mapped[datetime | None]


class AlertRow(Base):
    """One event understood. Nothing of what it says is in plain here: it may be about somebody who never consented.

    `reference_index` finds the enrollment; what the alert says is sealed in its events.
    """

    __tablename__ = "alert"
    __table_args__ = (
        UniqueConstraint("connection_id", "dedupe_key"),
        Index("ix_alert_connection_id_reference_index", "connection_id", "reference_index"),
    )

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    dedupe_key: Mapped[bytes] = mapped_column(LargeBinary)
    key_version: Mapped[int]
    reference_index: Mapped[bytes] = mapped_column(LargeBinary)
    grade: Mapped[str] = mapped_column(String(20))
    first_received_at: Mapped[datetime]


class Event(Base):
    """One item cut out of a receipt, with what became of it. `path` and `reason` name a field, never a value.

    `sealed` holds the provider's own item and, where it was understood, the normalised alert, under the event's own key: a
    receipt's key can then be destroyed for one person without losing the others'. `content_hash` is keyed,
    `reference_index` says about whom it is. `raw_erased_at`: when the provider's own item was taken out, by its contract's
    term; the normalised alert stays. `answered_at`: when a person last said what it is; their answer is in `sealed`.
    """

    __tablename__ = "event"
    __table_args__ = (
        ForeignKeyConstraint(["connection_id", "receipt_id"], ["receipt.connection_id", "receipt.id"]),
        ForeignKeyConstraint(["connection_id", "alert_id"], ["alert.connection_id", "alert.id"]),
        UniqueConstraint("connection_id", "receipt_id", "position"),
        Index("ix_event_connection_id_alert_id", "connection_id", "alert_id"),
        Index("ix_event_reference", "connection_id", "reference_index"),
        Index(
            "ix_event_quarantined",
            "organization_id",
            "id",
            sqlite_where=text("outcome = 'quarantined'"),
            postgresql_where=text("outcome = 'quarantined'"),
        ),
    )

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    receipt_id: Mapped[UUID]
    position: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(20))
    alert_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(80))
    path: Mapped[str | None] = mapped_column(String(200))
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    reference_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    normaliser: Mapped[str] = mapped_column(String(80))
    received_at: Mapped[datetime]
    raw_erased_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]


class Refusal(Base):
    """How many deliveries of one day were refused on a connection, by reason. Nil ids stand for "no such connection"."""

    __tablename__ = "refusal"

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reason: Mapped[str] = mapped_column(String(40), primary_key=True)
    organization_id: Mapped[UUID]
    count: Mapped[int]


class LookUpState(StrEnum):
    """How far a notice has come. WAITING: nobody enrolled and agreed yet, so nobody may be asked about.

    UNKNOWN: the provider does not know it. GIVEN_UP: who it is about refused, or nobody agreed in time. LEFT: a person has
    decided not to ask any more.
    """

    WAITING = "waiting"
    DUE = "due"
    DONE = "done"
    UNKNOWN = "unknown"
    GIVEN_UP = "given_up"
    LEFT = "left"


class LookUp(Base):
    """One thing that a provider said to look up, once however often it says so; `event_id` is the notice that it goes by.

    `trusted`: the notice proved its origin, or came out of the provider's own list. One that did not may be made up.
    `attempts`: how often the provider said that it does not know it. `failures`: how often in a row it gave no answer.
    """

    __tablename__ = "look_up"
    __table_args__ = (
        Index(
            "ix_look_up_due",
            "connection_id",
            "due_at",
            sqlite_where=text("state = 'due'"),
            postgresql_where=text("state = 'due'"),
        ),
        Index("ix_look_up_connection_id_reference_index", "connection_id", "reference_index"),
        Index(
            "ix_look_up_for_people",
            "organization_id",
            "event_id",
            sqlite_where=text("state IN ('waiting', 'unknown')"),
            postgresql_where=text("state IN ('waiting', 'unknown')"),
        ),
    )

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    event_id: Mapped[UUID]
    reference_index: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(String(20))
    trusted: Mapped[bool]
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    asked_at: Mapped[datetime | None]
    receipt_id: Mapped[UUID | None]


class HandedOn(Base):
    """A message inside a delivery, on its way to be a receipt of its own: event `event_id` of `connection_id` holds it.

    `due_at`: when it is tried next; None: it is done, as `receipt_id`, or it cannot be had any more. `reason`: what it waits
    for, or why it ended without a receipt.
    """

    __tablename__ = "handed_on"
    __table_args__ = (
        Index(
            "ix_handed_on_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    due_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str | None] = mapped_column(String(80))
    receipt_id: Mapped[UUID | None]


class HandedIn(Base):
    """How far a file has come that somebody hands in, known by a keyed hash of all of it.

    `place`: the byte up to which it is kept; `rows`: how many of its rows that are.
    """

    __tablename__ = "handed_in"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    file_index: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    place: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    started_by: Mapped[UUID | None]
    finished_at: Mapped[datetime | None]
