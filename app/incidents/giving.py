"""A caseworker says whose an alert is that is nobody's. They know the person's number and never what the alert says."""

from uuid import UUID

from app.incidents import repository
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append
from app.members.service import enroll_by_index


async def give(tx: Transaction, keyring: Keyring, organization_id: UUID, alert_id: UUID, external_id: str, actor: Actor) -> None:
    """Tie the reference of an alert that is nobody's to a member, who is then asked whether they agree.

    All that waits under the same reference goes with it. Raises a 404, 409 or 422 Problem.
    """
    row = await repository.nobodys(tx, organization_id, alert_id, lock=True)
    if row is None:
        raise not_found()
    where = (row.connection_id, row.reference_index)
    member = await enroll_by_index(tx, keyring, organization_id, *where, external_id)
    facts, ids = {"change": "enrolled from the queue"}, (alert_id, row.connection_id)
    await append(
        tx, keyring, organization_id, Act.ROSTER, facts=facts, actor=actor, member_id=member.id, alert=ids[0], connection=ids[1]
    )
