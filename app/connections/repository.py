"""All SQL of connections."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, update

from app.connections.models import Connection, ConnectionSecret, Poll
from app.kit.database import Transaction


async def connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """One connection of any organization: for deliveries, which prove themselves."""
    return await tx.get(Connection, connection_id)


async def connection_of(tx: Transaction, organization_id: UUID, connection_id: UUID, *, lock: bool = False) -> Connection | None:
    """One connection of one organization. `lock`: held for this transaction; deliveries and pages still come in meanwhile."""
    query = select(Connection).where(Connection.organization_id == organization_id, Connection.id == connection_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await tx.execute(query)).scalar_one_or_none()


async def connections_of(tx: Transaction, organization_id: UUID) -> Sequence[Connection]:
    """Every connection of an organization, oldest first."""
    query = select(Connection).where(Connection.organization_id == organization_id).order_by(Connection.id)
    return (await tx.execute(query)).scalars().all()


async def secrets_of(tx: Transaction, connection_id: UUID, now: datetime) -> Sequence[ConnectionSecret]:
    """The secrets that are valid now, newest first."""
    valid = or_(ConnectionSecret.retired_at.is_(None), ConnectionSecret.retired_at > now)
    query = select(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id, valid)
    return (await tx.execute(query.order_by(ConnectionSecret.id.desc()))).scalars().all()


async def retire_secrets(
    tx: Transaction, connection_id: UUID, until: datetime, now: datetime, *, but: UUID | None = None
) -> None:
    """Let the secrets, one excepted, be valid until a moment and no longer; what is over by now is destroyed.

    The rows stay: receipts name the key that proved them.
    """
    here = update(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id)
    old = here.where(or_(ConnectionSecret.retired_at.is_(None), ConnectionSecret.retired_at > until))
    await tx.execute((old if but is None else old.where(ConnectionSecret.id != but)).values(retired_at=until))
    await tx.execute(here.where(ConnectionSecret.retired_at <= now).values(sealed=b""))


async def end_turn(tx: Transaction, connection_id: UUID) -> None:
    """Take the right to ask from whoever asks just now: nothing more of that turn is written."""
    ended = update(Poll).where(Poll.connection_id == connection_id)
    await tx.execute(ended.values(fence=Poll.fence + 1, lease_owner=None, lease_until=None))


async def stop_waiting(tx: Transaction, connection_id: UUID) -> None:
    """Forget how long a provider was to be left alone."""
    await tx.execute(update(Poll).where(Poll.connection_id == connection_id).values(waits_until=None))
