"""One configured connector of one organization, and its secrets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.database import Base
from app.kit.ids import uuid7


class Connection(Base):
    """One connection. `token_hash` is of the webhook address's own token; `sender` decides, with the proof, the grade."""

    __tablename__ = "connection"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organization.id"), index=True)
    connector: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(120))
    sender: Mapped[str] = mapped_column(String(20))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class ConnectionSecret(Base):
    """One secret of a connection, sealed under the organization's key. Several may be valid while one is replaced."""

    __tablename__ = "connection_secret"

    connection_id: Mapped[UUID] = mapped_column(ForeignKey("connection.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
