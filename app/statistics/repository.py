"""All SQL of statistics: stored releases, and the roster's size."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select

from app.kit.database import Transaction
from app.members.models import Member
from app.statistics.models import StatisticsRelease


async def releases(tx: Transaction, organization_id: UUID) -> Sequence[StatisticsRelease]:
    """Every release of an organization, oldest first."""
    query = select(StatisticsRelease).where(StatisticsRelease.organization_id == organization_id)
    return (await tx.execute(query.order_by(StatisticsRelease.number))).scalars().all()


async def latest(tx: Transaction, organization_id: UUID) -> StatisticsRelease | None:
    """The newest release of an organization."""
    query = select(StatisticsRelease).where(StatisticsRelease.organization_id == organization_id)
    return (await tx.execute(query.order_by(StatisticsRelease.number.desc()).limit(1))).scalar_one_or_none()


async def roster_size(tx: Transaction, organization_id: UUID) -> int:
    """How many members the roster ever held; erased ones still count, so that no erasure shows."""
    query = select(func.count()).select_from(Member).where(Member.organization_id == organization_id)
    return (await tx.execute(query)).scalar_one()
