"""Publish the next release. Loads the auditor and with it SciPy: for the command line and workers, never for the web."""

from datetime import datetime
from uuid import UUID

from app.incidents import repository as incidents
from app.incidents.disputed import disputed_incidents
from app.kit import clock
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members import repository as members
from app.statistics import repository
from app.statistics.build import build_release
from app.statistics.cubes import IncidentRow
from app.statistics.models import StatisticsRelease
from app.statistics.release import Release


async def publish_release(
    tx: Transaction, context: Context, organization_id: UUID, *, actor: Actor = SYSTEM, as_of: datetime | None = None
) -> Release:
    """Make, audit and store the next edition. Raises ReleaseError when none can be made that gives nobody away."""
    await members.lock_organization(tx, organization_id)
    moment = as_of or clock.now()
    earlier = [Release.model_validate(row.body) for row in await repository.releases(tx, organization_id)]
    disputed = await disputed_incidents(tx, organization_id)
    rows = [
        IncidentRow(row.member_id, row.kind, row.family, row.first_received_at, row.answer, (row.member_id, row.id) in disputed)
        for row in await incidents.all_incidents(tx, organization_id)
    ]
    population = await repository.roster_size(tx, organization_id)
    release = build_release(rows, population=population, as_of=moment, earlier=earlier)
    row = StatisticsRelease(
        id=uuid7(),
        organization_id=organization_id,
        number=len(earlier) + 1,
        as_of=moment,
        body=release.model_dump(mode="json"),
        published_at=clock.now(),
    )
    tx.add(row)
    await tx.flush()
    facts = {"number": row.number, "rules": release.rules_version, "passed": release.audit.passed}
    await append(tx, context.keyring, organization_id, Act.RELEASE, facts=facts, actor=actor, release=row.id)
    return release
