"""Finds links again when a member's incidents or exposures change, and deletes them when the member is erased."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from app.breaches.service import EXPOSURE_CHANGED
from app.incidents.service import Changed
from app.incidents.topics import INCIDENTS_CHANGED, named_by_member
from app.incidents.workers import Link
from app.kit.context import Context
from app.kit.database import Database, Transaction
from app.kit.outbox import Consumer, Heard
from app.linkage.service import RULES_CHANGED, ask_again, relink
from app.members.repository import lock_members
from app.members.service import MEMBER_ERASED


def consumer(context: Context) -> Consumer:
    """The worker that keeps links right: of a member whose incidents changed just those, else all of the member's."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        told: defaultdict[UUID, list[Heard]] = defaultdict(list)
        for message in messages:
            told[message.organization_id].append(message)
        # Who brings alerts holds members of several organizations first, and then keeps what is shared; so does who is told.
        await lock_members(tx, {UUID(message.payload["member_id"]) for message in messages})
        for organization_id, theirs in sorted(told.items()):
            members = named_by_member(theirs)
            only = {member_id: sorted(named) for member_id, named in members.items() if named is not None}
            await relink(tx, context.keyring, organization_id, members, only)

    return Consumer("linkage.links", frozenset({INCIDENTS_CHANGED, EXPOSURE_CHANGED, RULES_CHANGED, MEMBER_ERASED}), handle)


def linker(context: Context) -> Link:
    """What finds links in the very transaction that brings alerts to their members' timelines."""

    async def link(tx: Transaction, organization_id: UUID, changed: Changed) -> None:
        await relink(tx, context.keyring, organization_id, changed, {one: sorted(named) for one, named in changed.items()})

    return link


async def renew(database: Database) -> int:
    """Have found again whatever earlier rules found, some members a transaction; how many members that were."""
    after, done = UUID(int=0), 0
    while True:
        async with database.begin() as tx:
            asked = await ask_again(tx, after)
        if asked is None:
            return done
        after, done = asked[0], done + asked[1]
