"""Matched tables, keyed by member: whose alert it is, what it says, which incident it belongs to, the member's answer."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base, PortableJson
from app.kit.ids import uuid7


class UnmatchedReason(StrEnum):
    """Why an alert has no member yet."""

    NO_ENROLLMENT = "no_enrollment"
    SEVERAL_MEMBERS = "several_members"
    NO_CONSENT = "no_consent"
    REFUSED = "refused"
    EXPIRED = "expired"
    ERASED = "erased"


class Unmatched(Base):
    """An alert that is nobody's yet, or whose member has not agreed. `member_id` only where consent is what is missing."""

    __tablename__ = "unmatched"
    __table_args__ = (Index("ix_unmatched_connection_id_reference_index", "connection_id", "reference_index"),)

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    member_id: Mapped[UUID | None] = mapped_column(ForeignKey("member.id"), index=True)
    reference_index: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[str] = mapped_column(String(20))
    since: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class MemberAlert(Base):
    """Whose alert it is, by which enrollment; written once, never edited."""

    __tablename__ = "member_alert"
    __table_args__ = (Index("ix_member_alert_connection_id_alert_id", "connection_id", "alert_id"),)

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    organization_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    enrollment_id: Mapped[UUID]
    grade: Mapped[str] = mapped_column(String(20))
    first_received_at: Mapped[datetime]
    matched_at: Mapped[datetime]


class MemberEvent(Base):
    """One event of a matched alert: the facts that correlation and counting need in plain, the rest sealed for the member.

    Each interval is a pair of columns, either end open. `sealed` holds the normalised alert and the provider's own item.
    `details_requested`: it says only that there is something. `completes`: the alert of the same member that it tells more of.
    """

    __tablename__ = "member_event"
    __table_args__ = (
        Index("ix_member_event_member_id_alert_id", "member_id", "alert_id"),
        Index("ix_member_event_member_id_institution_index", "member_id", "institution_index"),
        Index(
            "ix_member_event_member_id_completes",
            "member_id",
            "completes",
            sqlite_where=text("completes IS NOT NULL"),
            postgresql_where=text("completes IS NOT NULL"),
        ),
    )

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    alert_id: Mapped[UUID]
    connection_id: Mapped[UUID]
    receipt_id: Mapped[UUID]
    outcome: Mapped[str] = mapped_column(String(20))
    grade: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(40))
    product: Mapped[str | None] = mapped_column(String(40))
    bureau: Mapped[str | None] = mapped_column(String(20))
    institution: Mapped[str | None] = mapped_column(String(200))
    institution_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    last_four: Mapped[str | None] = mapped_column(String(4))
    amount: Mapped[Decimal | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    occurred_earliest: Mapped[datetime | None]
    occurred_latest: Mapped[datetime | None]
    opened_earliest: Mapped[datetime | None]
    opened_latest: Mapped[datetime | None]
    reported_earliest: Mapped[datetime | None]
    reported_latest: Mapped[datetime | None]
    received_at: Mapped[datetime]
    details_requested: Mapped[bool] = mapped_column(default=False, server_default=false())
    completes: Mapped[UUID | None]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Incident(Base):
    """One suspected act against one member. A merged one redirects; its id stays good for ever."""

    __tablename__ = "incident"
    __table_args__ = (Index("ix_incident_member_id_first_received_at", "member_id", "first_received_at", "id"),)

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(index=True)
    redirect_to: Mapped[UUID | None]
    kind: Mapped[str] = mapped_column(String(40))
    family: Mapped[str] = mapped_column(String(20))
    occurred_earliest: Mapped[datetime | None]
    occurred_latest: Mapped[datetime | None]
    first_received_at: Mapped[datetime]
    answer: Mapped[str] = mapped_column(String(20))
    needs_review: Mapped[bool]
    ask_again: Mapped[bool]
    updated_at: Mapped[datetime]


class IncidentAlert(Base):
    """Which incident an alert belongs to now; it is asked again whenever something comes that it may belong together with."""

    __tablename__ = "incident_alert"
    __table_args__ = (Index("ix_incident_alert_member_id_incident_id", "member_id", "incident_id"),)

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    alert_id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID]


class Verdict(Base):
    """One answer of the member, bound to the alerts that were shown; never changed."""

    __tablename__ = "verdict"

    member_id: Mapped[UUID] = mapped_column(ForeignKey("member.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    incident_id: Mapped[UUID]
    answer: Mapped[str] = mapped_column(String(20))
    shown_alerts: Mapped[list[Any]] = mapped_column(PortableJson)
    given_by: Mapped[UUID]
    given_at: Mapped[datetime]
