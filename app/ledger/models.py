"""The ledger, and the list of what was deleted. The migrations forbid every change of a row, by triggers and by grants."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, String
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
