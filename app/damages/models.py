"""Losses: what a member paid or lost over one incident, and who paid some of it back."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Date, ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class Loss(Base):
    """One entry. `note_sealed` is the member's own words, under the member's key."""

    __tablename__ = "loss"
    __table_args__ = (
        ForeignKeyConstraint(["member_id", "incident_id"], ["incident.member_id", "incident.id"], ondelete="CASCADE"),
        Index("ix_loss_member_id_incident_id", "member_id", "incident_id"),
    )

    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID]
    incident_id: Mapped[UUID]
    head: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(String(3))
    incurred_on: Mapped[date] = mapped_column(Date)
    note_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    entered_by: Mapped[UUID]
    entered_at: Mapped[datetime]


class Reimbursement(Base):
    """What somebody paid back of one loss."""

    __tablename__ = "reimbursement"
    __table_args__ = (ForeignKeyConstraint(["member_id", "loss_id"], ["loss.member_id", "loss.id"], ondelete="CASCADE"),)

    member_id: Mapped[UUID] = mapped_column(primary_key=True)
    loss_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    payer: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal]
    paid_on: Mapped[date | None] = mapped_column(Date)
