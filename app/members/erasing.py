"""Erase a member: on request, and again when a restored backup has brought them back."""

from uuid import UUID

from app.access import service as access
from app.access.credentials import forget_ways_in
from app.access.repository import account_of_member, end_access
from app.access.roles import Role
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import SYSTEM, Act, Actor, append
from app.members import repository
from app.members.models import Member
from app.members.service import MEMBER_ERASED, REFERENCE_FORGOTTEN

_FACTS = {"destroyed": "member key"}


async def erase(tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID, actor: Actor) -> None:
    """Destroy a member's key and everything that names them. Raises a 404, or a 409 Problem under a legal hold."""
    member = await repository.member(tx, organization_id, member_id, lock=True)
    if member is None or member.erased_at is not None:
        raise not_found()
    if await repository.is_held(tx, organization_id, member_id):
        raise Problem(409, "A legal hold covers this person: counsel must release it before anything can be erased.")
    note_deletion(tx, organization_id, Gone.MEMBER, 1, "erasure", {"member": member_id}, actor)
    await _erase(tx, keyring, member)
    await append(tx, keyring, organization_id, Act.ERASURE, facts=_FACTS, actor=actor, member_id=member_id)


async def erase_again(tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID) -> bool:
    """Erase somebody whom an old backup has brought back; False when there is nobody to erase.

    A hold that stands in the backup was released before the erasure, or it would not have come about.
    """
    member = await repository.member(tx, organization_id, member_id, lock=True)
    if member is None or member.erased_at is not None:
        return False
    await _erase(tx, keyring, member)
    facts = {**_FACTS, "why": "erased before; an old backup was restored"}
    await append(tx, keyring, organization_id, Act.ERASURE, facts=facts, actor=SYSTEM, member_id=member_id)
    return True


async def _erase(tx: Transaction, keyring: Keyring, member: Member) -> None:
    organization_id, now = member.organization_id, clock.now()
    account = await account_of_member(tx, organization_id, member.id)
    if account is not None:
        await access.set_email(tx, keyring, account, None)
        account.disabled_at = now
        await end_access(tx, account.id, Role.MEMBER, now)
        await forget_ways_in(tx, account.id)
    references = await repository.references_of(tx, member.id)
    await repository.forget(tx, member.id, now)
    for connection_id, index in references:
        if not await repository.enrollments_of(tx, organization_id, connection_id, index):
            where = {"connection_id": str(connection_id), "reference_index": index.hex()}
            await publish(tx, REFERENCE_FORGOTTEN, organization_id, **where)
    await publish(tx, MEMBER_ERASED, organization_id, member_id=member.id)
