"""Who is behind a reference and agreed to what; a reference that a member has of their own, and no longer."""

from collections.abc import Collection
from uuid import UUID

from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.members import repository
from app.members.keys import open_json, open_key, seal_json
from app.members.models import Enrollment, Member
from app.members.service import ENROLLMENT_CHANGED, agrees, new_enrollment, reference_at, reference_index


async def agreed_behind(
    tx: Transaction, references: Collection[tuple[UUID, bytes]], scope: str | None = None
) -> dict[tuple[UUID, bytes], UUID]:
    """The one member behind each reference, `(connection, blind index)`, who agrees now; to this very `scope`, when given.

    Left out is a reference that is nobody's, or that two members claim.
    """
    behind: dict[tuple[UUID, bytes], list[UUID]] = {}
    for row in await repository.enrollments_behind(tx, references):
        behind.setdefault((row.connection_id, row.reference_index), []).append(row.member_id)
    single = {place: found[0] for place, found in behind.items() if len(found) == 1}
    answers = await repository.last_consents_of(tx, {(member_id, place[0]) for place, member_id in single.items()})
    agreed = {}
    for place, member_id in single.items():
        last = answers.get((member_id, place[0]))
        if last is not None and agrees(last, clock.now()) and scope in (None, last.scope):
            agreed[place] = member_id
    return agreed


async def enroll_as(tx: Transaction, keyring: Keyring, member: Member, connection_id: UUID, reference: str) -> Enrollment:
    """Tie a member to a connection under a reference that nobody has yet. Raises Erased."""
    key = await open_key(tx, keyring, member)
    index = await reference_index(tx, keyring, member.organization_id, connection_id, reference)
    row = new_enrollment(member, connection_id, index)
    row.reference_sealed = seal_json(key, reference, *reference_at(member.id, row.id))
    tx.add(row)
    await tx.flush()
    await publish(tx, ENROLLMENT_CHANGED, member.organization_id, member_id=member.id)
    return row


async def reference_of(tx: Transaction, keyring: Keyring, member: Member, row: Enrollment) -> str:
    """A member's own reference, in plain; only of one that is sealed. Raises Erased."""
    reference: str = open_json(await open_key(tx, keyring, member), row.reference_sealed or b"", *reference_at(member.id, row.id))
    return reference
