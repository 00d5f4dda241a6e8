"""Read stored releases. Nothing is ever computed for a reader: all readers see the same numbers."""

from uuid import UUID

from app.kit.database import Transaction
from app.statistics import repository
from app.statistics.release import Release


async def latest_release(tx: Transaction, organization_id: UUID) -> Release | None:
    """The newest release of an organization; None before the first."""
    row = await repository.latest(tx, organization_id)
    return Release.model_validate(row.body) if row else None
