"""Keeps exposures right when employment changes or a member is erased."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from app.breaches.service import recompute_and_tell
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.outbox import Consumer, Heard
from app.members.service import EMPLOYMENT_CHANGED, MEMBER_ERASED


async def _handle(tx: Transaction, messages: Sequence[Heard]) -> None:
    touched: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for message in messages:
        touched[message.organization_id].add(UUID(message.payload["member_id"]))
    for organization_id, member_ids in sorted(touched.items()):
        await recompute_and_tell(tx, organization_id, member_ids)


def consumer(context: Context) -> Consumer:
    """The worker that recomputes exposures, each member of a batch once; of an erased member they are deleted."""
    return Consumer("breaches.exposures", frozenset({EMPLOYMENT_CHANGED, MEMBER_ERASED}), _handle)
