"""The workers of notices: tell members, ask for consent, forget who is erased, and look out for what stands in the way."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from app.incidents.topics import INCIDENTS_CHANGED, INCIDENTS_LINKED, named_by_member
from app.intake.health import ConnectionHealth
from app.kit import metrics
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.outbox import Consumer, Heard
from app.members.service import CONSENT_MISSING, MEMBER_ERASED
from app.notices import gauges, repository, service
from app.notices.service import QUIET
from app.watch.workers import Signs

log = structlog.get_logger(__name__)

CHANGED = frozenset({INCIDENTS_CHANGED, INCIDENTS_LINKED})


def teller() -> Consumer:
    """Post letters for new incidents, and for what waits for consent."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        changed = named_by_member(told for told in messages if told.topic in CHANGED)
        only = {member_id: sorted(named) for member_id, named in changed.items() if named is not None}
        await service.tell_members(tx, sorted(changed), only)
        for message in messages:
            if message.topic == CONSENT_MISSING:
                ids = (UUID(message.payload["member_id"]), UUID(message.payload["connection_id"]))
                await service.ask_for_consent(tx, message.organization_id, *ids)

    return Consumer("notices.tell", CHANGED | {CONSENT_MISSING}, handle)


def eraser() -> Consumer:
    """Delete what an erased member was told and asked."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        await repository.forget(tx, {UUID(message.payload["member_id"]) for message in messages})

    return Consumer("notices.erase", frozenset({MEMBER_ERASED}), handle)


async def watch(context: Context, signs: Signs = QUIET) -> int:
    """Look at every organization once, and open and close alarms; how many changed. Any number may do so at once.

    `signs`: what this process knows beside the database.
    """
    async with context.database.begin(read_only=True) as tx:
        organizations = await repository.organizations(tx)
    changed, healths = 0, list[ConnectionHealth]()
    for organization_id in organizations:
        try:
            changed += await _watch_one(context, organization_id, signs, healths)
        except Exception as error:  # what is wrong with one organization must not keep the others from being told
            log.error("alarms not looked at", organization=str(organization_id), error=type(error).__name__)
    async with context.database.begin(read_only=True) as tx:
        metrics.only(metrics.ALARMS, (await repository.open_counts(tx)).items())
    gauges.tell(healths)
    return changed


async def _watch_one(context: Context, organization_id: UUID, signs: Signs, healths: list[ConnectionHealth]) -> int:
    async with context.database.begin(read_only=True) as tx:
        found = await service.observed(tx, organization_id, signs, healths)
        if not found and not await repository.open_rows(tx, organization_id):
            return 0
    async with context.database.begin() as tx:
        return await service.settle(tx, context, organization_id, found)
