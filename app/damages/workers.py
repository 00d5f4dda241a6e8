"""Deletes an erased member's losses."""

from collections.abc import Sequence
from uuid import UUID

from app.damages.service import forget
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.outbox import Consumer, Message
from app.members.service import MEMBER_ERASED


async def _handle(tx: Transaction, messages: Sequence[Message]) -> None:
    erased = {(message.organization_id, UUID(message.payload["member_id"])) for message in messages}
    for organization_id, member_id in sorted(erased):
        await forget(tx, organization_id, member_id)


def consumer(context: Context) -> Consumer:
    """The worker that forgets the losses of whoever is erased."""
    return Consumer("damages.erasure", frozenset({MEMBER_ERASED}), _handle)
