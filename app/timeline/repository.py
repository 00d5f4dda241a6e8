"""All SQL of this room's own table."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from app.kit.database import Transaction
from app.timeline.models import BreakGlass


async def request_of(tx: Transaction, organization_id: UUID, request_id: UUID) -> BreakGlass | None:
    """One request of one organization."""
    query = select(BreakGlass).where(BreakGlass.organization_id == organization_id, BreakGlass.id == request_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def requests_since(tx: Transaction, organization_id: UUID, since: datetime, asked_by: UUID | None) -> Sequence[BreakGlass]:
    """Requests asked since then, the newest first. `asked_by`: only this person's."""
    query = select(BreakGlass).where(BreakGlass.organization_id == organization_id, BreakGlass.asked_at > since)
    if asked_by is not None:
        query = query.where(BreakGlass.asked_by == asked_by)
    return (await tx.execute(query.order_by(BreakGlass.id.desc()))).scalars().all()


async def approve(tx: Transaction, request_id: UUID, by: UUID, now: datetime) -> bool:
    """Approve a request, once whoever else does at the same time, and nobody their own; False when it was not to be."""
    waiting = update(BreakGlass).where(
        BreakGlass.id == request_id,
        BreakGlass.asked_by != by,
        BreakGlass.approved_at.is_(None),
        BreakGlass.ended_at.is_(None),
    )
    return bool((await tx.execute(waiting.values(approved_by=by, approved_at=now))).rowcount)  # type: ignore[attr-defined]


async def end(tx: Transaction, request_id: UUID, now: datetime) -> bool:
    """End a request; False when it had ended before."""
    still = update(BreakGlass).where(BreakGlass.id == request_id, BreakGlass.ended_at.is_(None))
    return bool((await tx.execute(still.values(ended_at=now))).rowcount)  # type: ignore[attr-defined]
