"""One configured connector of one organization, its secrets, what of it is disputed, and how far it has been asked."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class Connection(Base):
    """One connection. `token_hash` is of the webhook address's own token; `sender` decides, with the proof, the grade.

    `config_sealed` holds the connector's settings as JSON; `sources_sealed`, for the door, those networks among them that
    deliveries may come from, where its connector has such a setting. After a new address was made, the token before it is taken
    until `previous_token_until`. A paused connection asks nothing and still takes what is sent; a closed one does neither.
    `fresh_hours`: without anything for this long the connection is silent; None leaves it to the connector's plan. `raw_days`:
    how long what it brings is kept as it came; None leaves it to the connector's term.
    `revision` rises with every change of the row or of its secrets: the database sees to that, whoever changes them.
    `index_version`: the version of every blind index of what came over it (kit/scoped).
    """

    __tablename__ = "connection"
    __table_args__ = (
        Index(
            "uq_connection_own",
            "organization_id",
            unique=True,
            sqlite_where=text("connector = 'own' AND closed_at IS NULL"),
            postgresql_where=text("connector = 'own' AND closed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    connector: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(120))
    sender: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    previous_token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_token_until: Mapped[datetime | None]
    config_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    sources_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    fresh_hours: Mapped[int | None]
    raw_days: Mapped[int | None]
    created_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(server_default="0")
    index_version: Mapped[int] = mapped_column(server_default="1")


class ConnectionSecret(Base):
    """One secret of a connection, sealed so that the door opens it too. Several may be valid while one is replaced.

    `retired_at` may lie ahead: until then it is still taken.
    """

    __tablename__ = "connection_secret"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class DisputedRange(Base):
    """A stretch of time in which somebody else may have spoken in a provider's name over one connection.

    It holds whatever was received at `received_from` or later and before `received_until` (None: until further notice), also what
    comes yet; nothing of that is touched. `reason_sealed`: why, in the admin's words. Once withdrawn it holds nothing.
    """

    __tablename__ = "disputed_range"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    received_from: Mapped[datetime]
    received_until: Mapped[datetime | None]
    reason_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class PollState(StrEnum):
    """How asking a provider went the last time. The words after OK are those of `connectors.asking.ProviderError`."""

    NEVER = "never"
    OK = "ok"
    CREDENTIALS = "credentials"
    UNREACHABLE = "unreachable"
    UNEXPECTED = "unexpected"
    NOT_ALLOWED = "not_allowed"
    FAILED = "failed"


class RoundKind(StrEnum):
    """What an open round still has to do: ask what is new about everybody, or everything (SWEEP), or only those who failed."""

    POLL = "poll"
    SWEEP = "sweep"
    AGAIN = "again"


class Poll(Base):
    """How far one connection's provider has been asked, and who may ask next: `fence` rises with every change of hands.

    `poll_due_at` is the next regular question, `look_ups_due_at` the next notice to be looked up, `waits_until` the breaker:
    before it nobody asks. `misses` counts look-ups of things that the provider does not know, since `misses_since`.
    A round asks about everybody once, in as many turns as that takes: `round` is its number, `round_due_at` when it was due;
    `round_kind` None: none is open. `paced_until`: before it no question may leave, whichever process asks.
    """

    __tablename__ = "poll"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    cursor: Mapped[str | None] = mapped_column(String(500))
    poll_due_at: Mapped[datetime | None]
    look_ups_due_at: Mapped[datetime | None]
    sweep_due_at: Mapped[datetime | None]
    waits_until: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(String(200))
    failures: Mapped[int] = mapped_column(default=0)
    polls: Mapped[int] = mapped_column(BigInteger, default=0)
    misses: Mapped[int] = mapped_column(default=0)
    misses_since: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    lease_owner: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    round: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    round_kind: Mapped[str | None] = mapped_column(String(10))
    round_due_at: Mapped[datetime | None]
    paced_until: Mapped[datetime | None]


class PollSubject(Base):
    """How far a provider has been asked about one enrollment, when and in which round last.

    `failures`: how often in a row the question about this one failed; 0: it was answered.
    """

    __tablename__ = "poll_subject"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    reference_index: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    cursor: Mapped[str | None] = mapped_column(String(500))
    asked_at: Mapped[datetime]
    round: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")


class ReadingDocument(Base):
    """One version of a document by which a connection's connector reads; never changed. `text` None: withdrawn from here on."""

    __tablename__ = "reading_document"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    text: Mapped[str | None] = mapped_column(Text)
    written_by: Mapped[UUID | None]
    written_at: Mapped[datetime]
