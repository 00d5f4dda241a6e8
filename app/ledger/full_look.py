"""Once a day every log is verified from first to last, by whichever process comes first; what is wrong is an alarm.

Somebody with the database and the log's key can make a log that is whole: only `harmline ledger verify --against` a copy from
elsewhere, or a witness, tells of that.
"""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import select, update

from app.kit import clock
from app.kit.database import Database, upsert
from app.kit.ids import uuid7
from app.ledger import attestations, notes
from app.ledger.models import Head
from app.ledger.verifying import Report, organizations, verify

log = structlog.get_logger(__name__)

AGAIN_AFTER = timedelta(hours=23)
MOST_AHEAD = timedelta(minutes=10)
"""By how much another process's clock may be ahead."""

TURN = timedelta(hours=6)
"""How long one process may take, before another one may think it is dead."""

_NAME = "ledger.verifying"


async def verify_all(database: Database, witnesses: Collection[notes.Key] = ()) -> int:
    """Verify each log whose last time is a day ago, if no other process does; how many were verified.

    `witnesses`: whose cosignatures are looked at, too. A log that cannot be verified holds up no other; why is raised at the end.
    """
    owner = uuid7()
    async with database.begin(read_only=True) as tx:
        # not "older than a day": somebody who writes a moment of the next century there would have peace until then
        fresh = Head.verified_at.between(clock.now() - AGAIN_AFTER, clock.now() + MOST_AHEAD)
        done = set((await tx.execute(select(Head.organization_id).where(fresh))).scalars())
        due = [one for one in await organizations(tx) if one not in done]
    if not due:
        return 0
    async with database.begin() as tx:
        if not await attestations.take_turn(tx, _NAME, owner, clock.now(), TURN):
            return 0
    failed = None
    try:
        for organization_id in due:
            try:
                await _one(database, organization_id, witnesses)
            except Exception as error:  # the other logs are looked at; told below, when they are
                log.error("a log cannot be verified", organization=str(organization_id), error=type(error).__name__)
                failed = failed or error
    finally:
        async with database.begin() as tx:
            await attestations.end_turn(tx, _NAME, owner)
    if failed is not None:
        raise failed
    return len(due)


async def _one(database: Database, organization_id: UUID, witnesses: Collection[notes.Key]) -> None:
    async with database.begin(read_only=True) as tx:
        report = await verify(tx, organization_id, witnesses=list(witnesses))
    _tell(report)
    looked = update(Head).where(Head.organization_id == organization_id)
    async with database.begin() as tx:
        # gone, or not there yet: as the sequencer would make it
        bare = upsert(tx, Head).values(organization_id=organization_id, size=0, read_back=0, fence=0).on_conflict_do_nothing()
        await tx.execute(bare)
        values = {"verified_at": clock.now(), "found_wrong": len(report.findings)}
        await tx.execute(looked.values(**values).execution_options(synchronize_session=False))


def _tell(report: Report) -> None:
    organization = str(report.organization_id)
    for one in report.findings:
        log.error("the log of the ledger is not whole", organization=organization, found=one.kind.value, says=one.says)
    for one in report.remarks:
        log.warning(
            "a moment in the log of the ledger does not fit", organization=organization, found=one.kind.value, says=one.says
        )
    if report.is_whole:
        log.info("the log of the ledger is whole", organization=organization, leaves=report.leaves)
