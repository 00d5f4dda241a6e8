"""The numbers that exhibits were given, once and for good."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base


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
