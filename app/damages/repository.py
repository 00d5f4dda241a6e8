"""All SQL of losses. Every query is scoped by organization and member."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, func, select

from app.damages.models import Loss, Reimbursement
from app.kit.database import Transaction


async def losses(tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Sequence[UUID]) -> Sequence[Loss]:
    """The entries under some of a member's incidents, in the order they were made."""
    query = select(Loss).where(
        Loss.organization_id == organization_id, Loss.member_id == member_id, Loss.incident_id.in_(incident_ids)
    )
    return (await tx.execute(query.order_by(Loss.id))).scalars().all()


async def count(tx: Transaction, organization_id: UUID, member_id: UUID, incident_id: UUID) -> int:
    """How many entries an incident has."""
    query = (
        select(func.count())
        .select_from(Loss)
        .where(Loss.organization_id == organization_id, Loss.member_id == member_id, Loss.incident_id == incident_id)
    )
    return (await tx.execute(query)).scalar_one()


async def reimbursements(
    tx: Transaction, organization_id: UUID, member_id: UUID, loss_ids: Sequence[UUID]
) -> dict[UUID, list[Reimbursement]]:
    """What was paid back of some of a member's losses, by loss id, in the order it was written down."""
    query = (
        select(Reimbursement)
        .join(Loss, and_(Loss.member_id == Reimbursement.member_id, Loss.id == Reimbursement.loss_id))
        .where(Loss.organization_id == organization_id, Reimbursement.member_id == member_id, Reimbursement.loss_id.in_(loss_ids))
        .order_by(Reimbursement.loss_id, Reimbursement.position)
    )
    found: defaultdict[UUID, list[Reimbursement]] = defaultdict(list)
    for row in (await tx.execute(query)).scalars():
        found[row.loss_id].append(row)
    return dict(found)
