"""The one table of this room: who may look at one member's timeline in an emergency, for an hour."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class BreakGlass(Base):
    """One request to see one member's timeline: asked by one person, approved by another, over after an hour."""

    __tablename__ = "break_glass"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    member_id: Mapped[UUID] = mapped_column(index=True)
    reason_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    asked_by: Mapped[UUID]
    asked_at: Mapped[datetime]
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
