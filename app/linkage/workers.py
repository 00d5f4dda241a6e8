"""Finds links again when a member's incidents or exposures change, and deletes them when the member is erased."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from app.breaches.service import EXPOSURE_CHANGED
from app.incidents.topics import INCIDENTS_CHANGED
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.outbox import Consumer, Message
from app.linkage.service import relink
from app.members.service import MEMBER_ERASED


def consumer(context: Context) -> Consumer:
    """The worker that keeps links right, each member of a batch once."""

    async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
        touched: defaultdict[UUID, set[UUID]] = defaultdict(set)
        for message in messages:
            touched[message.organization_id].add(UUID(message.payload["member_id"]))
        for organization_id, member_ids in sorted(touched.items()):
            await relink(tx, context.keyring, organization_id, member_ids)

    return Consumer("linkage.links", frozenset({INCIDENTS_CHANGED, EXPOSURE_CHANGED, MEMBER_ERASED}), handle)
