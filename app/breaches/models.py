"""Breaches of an organization, what each exposed of whom, and the matters counsel brings over them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class Breach(Base):
    """One breach. `spec` is the whole of it as data (`catalogue.BreachSpec`); `focal` is what the organization claims over."""

    __tablename__ = "breach"
    __table_args__ = (UniqueConstraint("organization_id", "key"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    key: Mapped[str] = mapped_column(String(60))
    focal: Mapped[bool]
    spec: Mapped[dict[str, Any]] = mapped_column(PortableJson)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MemberEvidence(Base):
    """Something that names this very member in one wave: own record seen, a notice letter, a breach listing."""

    __tablename__ = "member_evidence"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    breach_id: Mapped[UUID] = mapped_column(ForeignKey("breach.id"), index=True)
    wave: Mapped[str] = mapped_column(String(60))
    basis: Mapped[str] = mapped_column(String(30))
    elements: Mapped[list[Any] | None] = mapped_column(PortableJson)
    recorded_at: Mapped[datetime]


class ExposureRow(Base):
    """Member × breach × wave × element, as well as it is known; recomputed whenever what it rests on changes."""

    __tablename__ = "exposure"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    breach_id: Mapped[UUID] = mapped_column(ForeignKey("breach.id"), primary_key=True)
    wave: Mapped[str] = mapped_column(String(60), primary_key=True)
    element: Mapped[str] = mapped_column(String(30), primary_key=True)
    basis: Mapped[str] = mapped_column(String(30))
    status: Mapped[str] = mapped_column(String(20))
    mark: Mapped[str] = mapped_column(String(1))
    reference: Mapped[str | None] = mapped_column(String(80))


class Matter(Base):
    """A case that counsel brings over one breach. Its title is counsel's own and sealed in counsel's lane."""

    __tablename__ = "matter"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    breach_id: Mapped[UUID] = mapped_column(ForeignKey("breach.id"))
    title_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    opened_at: Mapped[datetime]


class MatterCounsel(Base):
    """One counsel's assignment to one matter."""

    __tablename__ = "matter_counsel"

    matter_id: Mapped[UUID] = mapped_column(ForeignKey("matter.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    assigned_at: Mapped[datetime]
