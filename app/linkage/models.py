"""Links: incident and breach, with the facts on both sides. A new finding is a new row; the old one stays."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class SharedFinding(Base):
    """What findings say that differ in ids only, by the SHA-256 of its canonical form; no member's data is in it.

    Rows are never changed, and stay when no link names them any more (decision 0058).
    """

    __tablename__ = "shared_finding"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    said: Mapped[dict[str, Any]] = mapped_column(PortableJson)


class Link(Base):
    """One finding about one incident and one breach; the one without `superseded_at` is the present one.

    `shared_sha256` names what the finding says, in `shared_finding`; `own` are the ids that stand in it (`sharing.join`).
    `based_on`: a hash of all that the finding follows from; None for one of before there was such a hash.
    """

    __tablename__ = "link"
    __table_args__ = (
        ForeignKeyConstraint(["member_id", "incident_id"], ["incident.member_id", "incident.id"], ondelete="CASCADE"),
        Index("ix_link_member_id_incident_id", "member_id", "incident_id"),
        Index(
            "uq_link_present",
            "member_id",
            "incident_id",
            "breach_id",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    incident_id: Mapped[UUID]
    breach_id: Mapped[UUID] = mapped_column(ForeignKey("breach.id"), index=True)
    time_order: Mapped[str] = mapped_column(String(40))
    excluded_by_time: Mapped[bool]
    shared_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    own: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    rules_version: Mapped[str] = mapped_column(String(80))
    based_on: Mapped[bytes | None] = mapped_column(LargeBinary)
    found_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]
