"""The ledger's one table. The migration forbids every change of a row, by triggers and by grants."""

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
