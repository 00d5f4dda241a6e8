"""Tables of the roster. What names a person is sealed under that member's own key; look-ups go by blind index."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Date, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class Organization(Base):
    """A union, association or class: the tenant."""

    __tablename__ = "organization"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class Member(Base):
    """One affected person. `sealed` holds external id, name and address; without `wrapped_key` nobody can read it."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("organization_id", "external_index"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    external_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class Employment(Base):
    """One interval of work for the defendant: both days included, no end for who still works there."""

    __tablename__ = "employment"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    started_on: Mapped[date] = mapped_column(Date, primary_key=True)
    ended_on: Mapped[date | None] = mapped_column(Date)


class Enrollment(Base):
    """Member and the provider's own id for that person on one connection.

    `reference_index` is a blind index; `reference_sealed`, under the member's key, is what the provider is asked with.
    """

    __tablename__ = "enrollment"
    __table_args__ = (
        UniqueConstraint("member_id", "connection_id", "reference_index"),
        Index("ix_enrollment_connection_id_reference_index", "connection_id", "reference_index"),
    )

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    connection_id: Mapped[UUID]
    reference_index: Mapped[bytes] = mapped_column(LargeBinary)
    reference_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def stands_at(self, moment: datetime) -> bool:
        """Whether what came in under the reference at a moment is the member's: it still stands, or had not ended then."""
        return self.ended_at is None or self.ended_at > moment


class Consent(Base):
    """A member's answer, for one connection, to keeping what comes over it. The latest row counts; none is ever changed."""

    __tablename__ = "consent"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    connection_id: Mapped[UUID] = mapped_column(index=True)
    given: Mapped[bool]
    scope: Mapped[str] = mapped_column(String(40))
    decided_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(String(20))


class LegalHold(Base):
    """Counsel's order to keep everything of one member, or of the whole organization when no member is named."""

    __tablename__ = "legal_hold"
    __table_args__ = (ForeignKeyConstraint(["member_id"], ["member.id"]),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    member_id: Mapped[UUID | None]
    reason_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    placed_by: Mapped[UUID]
    placed_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
