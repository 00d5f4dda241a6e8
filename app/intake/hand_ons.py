"""All SQL of messages that are handed on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from app.intake.models import HandedOn
from app.kit.database import Transaction


async def due(tx: Transaction, now: datetime, limit: int) -> list[tuple[UUID, UUID, int]]:
    """What is to be handed on by now, longest due first: `(connection, event, attempts so far)`."""
    query = select(HandedOn.connection_id, HandedOn.event_id, HandedOn.attempts).where(HandedOn.due_at <= now)
    found = await tx.execute(query.order_by(HandedOn.due_at, HandedOn.event_id).limit(limit))
    return [(connection_id, event_id, attempts) for connection_id, event_id, attempts in found]


async def row(tx: Transaction, connection_id: UUID, event_id: UUID) -> HandedOn:
    """One of them, held for this transaction."""
    query = select(HandedOn).where(HandedOn.connection_id == connection_id, HandedOn.event_id == event_id).with_for_update()
    return (await tx.execute(query)).scalar_one()
