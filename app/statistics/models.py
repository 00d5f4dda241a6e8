"""Stored releases: published, audited, never changed (the migration's triggers see to it)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class StatisticsRelease(Base):
    """One edition of an organization's statistics; `body` is a `release.Release`."""

    __tablename__ = "statistics_release"
    __table_args__ = (UniqueConstraint("organization_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"))
    number: Mapped[int]
    as_of: Mapped[datetime]
    body: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    published_at: Mapped[datetime]
