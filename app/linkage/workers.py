"""Finds links again when a member's incidents or exposures change, and deletes them when the member is erased."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from app.breaches.service import EXPOSURE_CHANGED
from app.incidents.topics import INCIDENTS_CHANGED, incidents_named
from app.kit.context import Context
from app.kit.database import Database, Transaction
from app.kit.outbox import Consumer, Heard
from app.linkage.service import RULES_CHANGED, ask_again, relink
from app.members.service import MEMBER_ERASED


def consumer(context: Context) -> Consumer:
    """The worker that keeps links right: of a member whose incidents changed just those, else all of the member's."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        touched: defaultdict[UUID, dict[UUID, set[UUID] | None]] = defaultdict(dict)
        for message in messages:
            members, member_id = touched[message.organization_id], UUID(message.payload["member_id"])
            named, sofar = incidents_named(message), members.get(member_id, set())
            members[member_id] = None if named is None or sofar is None else sofar | named
        for organization_id, members in sorted(touched.items()):
            only = {member_id: sorted(named) for member_id, named in members.items() if named is not None}
            await relink(tx, context.keyring, organization_id, members, only)

    return Consumer("linkage.links", frozenset({INCIDENTS_CHANGED, EXPOSURE_CHANGED, RULES_CHANGED, MEMBER_ERASED}), handle)


async def renew(database: Database) -> int:
    """Have found again whatever earlier rules found, some members a transaction; how many members that were."""
    after, done = UUID(int=0), 0
    while True:
        async with database.begin() as tx:
            asked = await ask_again(tx, after)
        if asked is None:
            return done
        after, done = asked[0], done + asked[1]
