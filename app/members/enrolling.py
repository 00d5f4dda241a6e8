"""Who is behind a reference and agreed to what; a reference that a member has of their own, and no longer."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.members import repository
from app.members.keys import open_json, open_key, seal_json
from app.members.models import Enrollment, Member
from app.members.service import ENROLLMENT_CHANGED, agrees, new_enrollment, reference_at, reference_index


class Addressed(NamedTuple):
    """Something that came in under a reference, `reference_index` of `connection_id`."""

    connection_id: UUID
    reference_index: bytes
    received_at: datetime


async def agreed_behind(tx: Transaction, wanted: Mapping[UUID, Addressed], scope: str | None = None) -> dict[UUID, UUID]:
    """By what came in, the one member behind it who agrees now; to this very `scope`, when given.

    Left out is what is nobody's, and what two members claim.
    """
    behind: dict[tuple[UUID, bytes], list[Enrollment]] = {}
    for row in await repository.enrollments_behind(tx, {(one[0], one[1]) for one in wanted.values()}, ever=True):
        behind.setdefault((row.connection_id, row.reference_index), []).append(row)
    single: dict[UUID, tuple[UUID, UUID]] = {}
    for key, one in wanted.items():
        theirs = [row for row in behind.get((one[0], one[1]), ()) if row.stands_at(one.received_at)]
        if len(theirs) == 1:
            single[key] = (theirs[0].member_id, one.connection_id)
    answers = await repository.last_consents_of(tx, set(single.values()))
    agreed = {}
    for key, who in single.items():
        last = answers.get(who)
        if last is not None and agrees(last, clock.now()) and scope in (None, last.scope):
            agreed[key] = who[0]
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
