"""All SQL of the ledger: reading only; entries are written by `service.append` and never changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import or_, select

from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.ledger.service import Act


async def entries_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[LedgerEntry]:
    """The next entries of an organization, oldest first."""
    query = select(LedgerEntry).where(LedgerEntry.organization_id == organization_id, LedgerEntry.id > after)
    return (await tx.execute(query.order_by(LedgerEntry.id).limit(limit))).scalars().all()


async def looks_before(
    tx: Transaction, organization_id: UUID, member_id: UUID, before: UUID | None, limit: int, *, but_by: UUID | None = None
) -> Sequence[LedgerEntry]:
    """The looks at what is one member's, the newest first. `but_by`: an account whose own looks are left out."""
    query = select(LedgerEntry).where(
        LedgerEntry.organization_id == organization_id,
        LedgerEntry.member_id == member_id,
        LedgerEntry.kind.in_((Act.VIEW, Act.EXPORT)),
    )
    if before is not None:
        query = query.where(LedgerEntry.id < before)
    if but_by is not None:
        query = query.where(or_(LedgerEntry.actor_id.is_(None), LedgerEntry.actor_id != but_by))
    return (await tx.execute(query.order_by(LedgerEntry.id.desc()).limit(limit))).scalars().all()
