"""All SQL of connections."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, literal, or_, select, update
from sqlalchemy.orm import load_only

from app.connections.models import Connection, ConnectionSecret, DisputedRange, Poll
from app.kit.database import Transaction
from app.ledger.deletions import Gone, note_deletion


async def connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """One connection of any organization: for deliveries, which prove themselves."""
    return await tx.get(Connection, connection_id)


_AT_THE_DOOR = load_only(
    Connection.organization_id,
    Connection.connector,
    Connection.sender,
    Connection.token_hash,
    Connection.previous_token_hash,
    Connection.previous_token_until,
    Connection.sources_sealed,
    Connection.closed_at,
    Connection.revision,
    Connection.index_version,
)


async def connection_at_the_door(tx: Transaction, connection_id: UUID) -> Connection | None:
    """One connection of any organization, with what the door may read of it and no more."""
    query = select(Connection).where(Connection.id == connection_id).options(_AT_THE_DOOR)
    return (await tx.execute(query)).scalar_one_or_none()


async def connection_of(tx: Transaction, organization_id: UUID, connection_id: UUID, *, lock: bool = False) -> Connection | None:
    """One connection of one organization. `lock`: held for this transaction; deliveries and pages still come in meanwhile."""
    query = select(Connection).where(Connection.organization_id == organization_id, Connection.id == connection_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await tx.execute(query)).scalar_one_or_none()


async def with_raw_terms(tx: Transaction, limited: Collection[str]) -> Sequence[UUID]:
    """Every connection, of any organization, with a term of its own for raw data, or of one of these connectors."""
    query = select(Connection.id).where(or_(Connection.raw_days.is_not(None), Connection.connector.in_(limited)))
    return (await tx.execute(query.order_by(Connection.id))).scalars().all()


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
    over = here.where(ConnectionSecret.retired_at <= now, ConnectionSecret.sealed != b"")
    gone = (await tx.execute(over.values(sealed=b"").returning(ConnectionSecret.id))).scalars().all()
    if gone:
        whose = select(Connection.organization_id).where(Connection.id == connection_id)
        ids: dict[str, UUID | Collection[UUID]] = {"connection": connection_id, "secrets": gone}
        organization_id = (await tx.execute(whose)).scalar_one()
        note_deletion(tx, organization_id, Gone.SECRET, len(gone), "replaced, and no longer taken", ids)


async def destroy_secrets_again(tx: Transaction, connection_id: UUID, secret_ids: Collection[UUID], at: datetime) -> None:
    """Destroy secrets that a restored backup has brought back; they were no longer taken at `at`."""
    gone = update(ConnectionSecret).where(ConnectionSecret.connection_id == connection_id, ConnectionSecret.id.in_(secret_ids))
    await tx.execute(gone.values(sealed=b"", retired_at=at))


async def end_turn(tx: Transaction, connection_id: UUID) -> None:
    """Take the right to ask from whoever asks just now: nothing more of that turn is written."""
    ended = update(Poll).where(Poll.connection_id == connection_id)
    await tx.execute(ended.values(fence=Poll.fence + 1, lease_owner=None, lease_until=None))


async def stop_waiting(tx: Transaction, connection_id: UUID) -> None:
    """Forget how long a provider was to be left alone."""
    await tx.execute(update(Poll).where(Poll.connection_id == connection_id).values(waits_until=None))


def _covers(connection_id: SQLColumnExpression[UUID], received_at: SQLColumnExpression[datetime]) -> ColumnElement[bool]:
    """The one rule of what is disputed: a range that stands holds a moment from its beginning on and before its end."""
    return and_(
        DisputedRange.connection_id == connection_id,
        DisputedRange.withdrawn_at.is_(None),
        DisputedRange.received_from <= received_at,
        or_(DisputedRange.received_until.is_(None), DisputedRange.received_until > received_at),
    )


def is_disputed(connection_id: SQLColumnExpression[UUID], received_at: SQLColumnExpression[datetime]) -> ColumnElement[bool]:
    """The condition, on columns of another table, that what came over this connection at this moment is disputed."""
    return exists().where(_covers(connection_id, received_at))


async def disputes_over(tx: Transaction, connection_id: UUID, received_at: datetime) -> Sequence[DisputedRange]:
    """The ranges by which what came over a connection at one moment is disputed, oldest first."""
    moment = literal(received_at, DisputedRange.received_from.type)
    query = select(DisputedRange).where(_covers(literal(connection_id), moment))
    return (await tx.execute(query.order_by(DisputedRange.id))).scalars().all()


async def disputes_of(tx: Transaction, connection_id: UUID) -> Sequence[DisputedRange]:
    """Every range of a connection, also those that were withdrawn, newest first."""
    query = select(DisputedRange).where(DisputedRange.connection_id == connection_id)
    return (await tx.execute(query.order_by(DisputedRange.id.desc()))).scalars().all()


async def dispute(tx: Transaction, connection_id: UUID, dispute_id: UUID) -> DisputedRange | None:
    """One range of a connection."""
    return await tx.get(DisputedRange, (connection_id, dispute_id))


async def same_dispute(
    tx: Transaction, connection_id: UUID, received_from: datetime, received_until: datetime | None
) -> DisputedRange | None:
    """The range of a connection that stands and has just these ends."""
    query = select(DisputedRange).where(
        DisputedRange.connection_id == connection_id,
        DisputedRange.withdrawn_at.is_(None),
        DisputedRange.received_from == received_from,
        DisputedRange.received_until.is_not_distinct_from(received_until),
    )
    return (await tx.execute(query)).scalar_one_or_none()


async def open_one(tx: Transaction, organization_id: UUID, connector: str) -> Connection | None:
    """An organization's open connection of a connector: the newest, if there are several."""
    query = select(Connection).where(
        Connection.organization_id == organization_id, Connection.connector == connector, Connection.closed_at.is_(None)
    )
    return (await tx.execute(query.order_by(Connection.id.desc()).limit(1))).scalars().first()
