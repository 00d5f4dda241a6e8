"""All SQL of the ledger: reading only; entries are written by `service.append` and never changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.kit.database import Transaction
from app.ledger.models import LedgerEntry


async def entries_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[LedgerEntry]:
    """The next entries of an organization, oldest first."""
    query = select(LedgerEntry).where(LedgerEntry.organization_id == organization_id, LedgerEntry.id > after)
    return (await tx.execute(query.order_by(LedgerEntry.id).limit(limit))).scalars().all()
