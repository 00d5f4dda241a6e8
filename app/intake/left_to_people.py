"""What only a person can tell and whose member says no: it is made unreadable for good, like everything that waits for a yes."""

from collections.abc import Collection
from uuid import UUID

from app.intake import for_people, repository
from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.ledger.service import Act, append
from app.members import repository as members
from app.members.service import consents_to

REFUSED = "refused"


async def let_go(tx: Transaction, keyring: Keyring, organization_id: UUID, member_ids: Collection[UUID]) -> int:
    """Destroy what is left to a person about those of these members who said no; how many events it were.

    Hash and reason stay. Nothing happens while a legal hold forbids it.
    """
    destroyed = 0
    for member_id in sorted(member_ids):
        if await members.is_held(tx, organization_id, member_id):
            continue
        for connection_id, reference in await members.references_of(tx, member_id):
            if await consents_to(tx, member_id, connection_id, clock.now()) is False:
                destroyed += await _destroy(tx, keyring, organization_id, member_id, connection_id, reference)
    return destroyed


async def _destroy(
    tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID, connection_id: UUID, reference: bytes
) -> int:
    events = await for_people.left_about(tx, connection_id, reference)
    if events:
        receipts, ids = {event.receipt_id for event in events}, {event.id for event in events}
        await repository.destroy_keys(tx, organization_id, connection_id, receipts, ids, REFUSED)
        facts = {"destroyed": "event and receipt keys of what was left to a person", "reason": REFUSED, "events": len(events)}
        await append(tx, keyring, organization_id, Act.ERASURE, facts=facts, member_id=member_id, connection=connection_id)
    return len(events)
