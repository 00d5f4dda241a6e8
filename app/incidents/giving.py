"""A caseworker says whose an alert is that is nobody's, or a notice. They know the person's number and never what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from app.incidents import repository
from app.incidents.models import Unmatched, UnmatchedReason
from app.intake import look_ups
from app.intake.models import LookUp
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append
from app.members.service import enroll_by_index


@dataclass(frozen=True, slots=True)
class Nobodys:
    """Something that is nobody's, or could be two people's. `alert_id` is a notice's own id where `notice`."""

    alert_id: UUID
    connection_id: UUID
    reference_index: bytes
    reason: str
    since: datetime
    notice: bool


async def nobodys_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Nobodys]:
    """The next alerts that are nobody's, and the next notices of which nobody can be asked, by id: that is by age."""
    rows = await repository.unmatched_after(tx, organization_id, after, limit)
    noticed = await look_ups.nobodys_after(tx, organization_id, after, limit)
    both = [*map(_alert, rows), *(_notice(row, received_at) for row, received_at in noticed)]
    return sorted(both, key=lambda one: one.alert_id)[:limit]


async def nobodys(tx: Transaction, organization_id: UUID, alert_id: UUID, *, lock: bool = False) -> Nobodys | None:
    """One of these."""
    row = await repository.nobodys(tx, organization_id, alert_id, lock=lock)
    if row is not None:
        return _alert(row)
    found = await look_ups.one_of_nobody(tx, organization_id, alert_id)
    return _notice(*found) if found else None


def _alert(row: Unmatched) -> Nobodys:
    return Nobodys(row.alert_id, row.connection_id, row.reference_index, row.reason, row.since, notice=False)


def _notice(row: LookUp, received_at: datetime) -> Nobodys:
    reason = UnmatchedReason.NO_ENROLLMENT
    return Nobodys(row.event_id, row.connection_id, row.reference_index, reason, received_at, notice=True)


async def give(tx: Transaction, keyring: Keyring, organization_id: UUID, alert_id: UUID, external_id: str, actor: Actor) -> None:
    """Tie the reference of what is nobody's to a member, who is then asked whether they agree.

    All that waits under the same reference goes with it. Raises a 404, 409 or 422 Problem.
    """
    row = await nobodys(tx, organization_id, alert_id, lock=True)
    if row is None:
        raise not_found()
    where = (row.connection_id, row.reference_index)
    member = await enroll_by_index(tx, keyring, organization_id, *where, external_id)
    facts = {"change": "enrolled from the queue"}
    noting = partial(append, tx, keyring, organization_id, Act.ROSTER, facts=facts, actor=actor, member_id=member.id)
    if row.notice:
        await noting(event=alert_id, connection=row.connection_id)
    else:
        await noting(alert=alert_id, connection=row.connection_id)
