"""All SQL of what is left to a person: events of which nobody else can tell what they are, as far as they can be read yet."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, select

from app.intake.models import Event, EventOutcome
from app.intake.understanding import FOR_A_PERSON
from app.kit.database import Transaction


def _left() -> Select[Event]:
    return select(Event).where(
        Event.outcome == EventOutcome.QUARANTINED, Event.path == FOR_A_PERSON, Event.wrapped_key.is_not(None)
    )


async def left_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Event]:
    """The next of an organization's, oldest first."""
    query = _left().where(Event.organization_id == organization_id, Event.id > after)
    return (await tx.execute(query.order_by(Event.id).limit(limit))).scalars().all()


async def left(tx: Transaction, organization_id: UUID, event_id: UUID, *, lock: bool = False) -> Event | None:
    """One of them. `lock`: held for this transaction, and as it is now."""
    query = _left().where(Event.organization_id == organization_id, Event.id == event_id)
    held = query.with_for_update().execution_options(populate_existing=True)
    return (await tx.execute(held if lock else query)).scalar_one_or_none()


async def left_about(tx: Transaction, connection_id: UUID, reference_index: bytes) -> Sequence[Event]:
    """All that are about one reference."""
    query = _left().where(Event.connection_id == connection_id, Event.reference_index == reference_index)
    return (await tx.execute(query.order_by(Event.id))).scalars().all()
