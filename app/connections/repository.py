"""All SQL of connections."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.connections.models import Connection, ConnectionSecret
from app.kit.database import Transaction


async def connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """One connection of any organization: for deliveries, which prove themselves."""
    return await tx.get(Connection, connection_id)


async def connection_of(tx: Transaction, organization_id: UUID, connection_id: UUID) -> Connection | None:
    """One connection of one organization."""
    query = select(Connection).where(Connection.organization_id == organization_id, Connection.id == connection_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def connections_of(tx: Transaction, organization_id: UUID) -> Sequence[Connection]:
    """Every connection of an organization, oldest first."""
    query = select(Connection).where(Connection.organization_id == organization_id).order_by(Connection.id)
    return (await tx.execute(query)).scalars().all()


async def secrets_of(tx: Transaction, connection_id: UUID) -> Sequence[ConnectionSecret]:
    """The secrets that are valid now, newest first."""
    query = select(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id, ConnectionSecret.retired_at.is_(None))
    return (await tx.execute(query.order_by(ConnectionSecret.id.desc()))).scalars().all()
