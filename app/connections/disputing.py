"""Mark a stretch of time of one connection as disputed: somebody else may have spoken in the provider's name then.

Whether something is disputed is read, never written: it follows from when it was received. So the whole stretch is marked
at once, also what comes into it later, and nothing that was received is changed or removed.
"""

from datetime import UTC, datetime
from uuid import UUID

from app.connections import repository
from app.connections.models import Connection, DisputedRange
from app.connections.schemas import DisputeView
from app.connections.service import refused
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.ids import uuid7
from app.kit.keyring import Keyring, Lane
from app.ledger.service import SYSTEM, Act, Actor, append

FROM, UNTIL = "received_from", "received_until"


def checked_range(received_from: datetime, received_until: datetime | None, now: datetime) -> tuple[datetime, datetime | None]:
    """Both ends in UTC. Raises a 422 Problem that names the end that is wrong."""
    first = _utc(FROM, received_from)
    last = None if received_until is None else _utc(UNTIL, received_until)
    if first > now:
        raise refused(FROM, "This lies ahead. Begin with a time that is past: what comes from then on is marked by itself.")
    if last is not None and last <= first:
        raise refused(UNTIL, "The end must be later than the beginning. Leave it out while you do not know it.")
    return first, last


def _utc(name: str, moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise refused(name, "Say in which time zone this is, such as 2023-03-04T14:05:00Z.")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise refused(name, "This time is further away than can be kept. Take another one.") from None


async def dispute(
    tx: Transaction,
    keyring: Keyring,
    organization_id: UUID,
    connection_id: UUID,
    *,
    received_from: datetime,
    received_until: datetime | None = None,
    reason: str,
    actor: Actor = SYSTEM,
) -> DisputeView:
    """Mark what is received at `received_from` or later and before `received_until` (aware; None: until further notice).

    A removed connection can be disputed too. Raises a 404, a 409 when this very stretch is marked already, or a 422 Problem.
    """
    row = await _held(tx, organization_id, connection_id)
    first, last = checked_range(received_from, received_until, clock.now())
    if await repository.same_dispute(tx, row.id, first, last) is not None:
        raise Problem(409, "This stretch of time is marked already. Withdraw that mark first, or take another stretch.")
    made = DisputedRange(
        connection_id=row.id,
        id=uuid7(),
        organization_id=organization_id,
        received_from=first,
        received_until=last,
        created_at=clock.now(),
    )
    made.reason_sealed = await keyring.seal(tx, organization_id, Lane.FACTUAL, reason, *_where(made))
    tx.add(made)
    await tx.flush()
    await _note(tx, keyring, made, actor, "disputed")
    return _view(made, reason)


async def withdraw(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, dispute_id: UUID, actor: Actor = SYSTEM
) -> DisputeView:
    """Take one mark back; others over the same time stay. Withdrawing it again changes nothing. Raises a 404 Problem."""
    await _held(tx, organization_id, connection_id)
    found = await repository.dispute(tx, connection_id, dispute_id)
    if found is None:
        raise not_found()
    if found.withdrawn_at is None:
        found.withdrawn_at = clock.now()
        await _note(tx, keyring, found, actor, "dispute withdrawn")
    return await _opened(tx, keyring, found)


async def disputes_of(tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID) -> list[DisputeView]:
    """Every mark of a connection with its reason, also those that were withdrawn, newest first. Raises a 404 Problem."""
    if await repository.connection_of(tx, organization_id, connection_id) is None:
        raise not_found()
    return [await _opened(tx, keyring, row) for row in await repository.disputes_of(tx, connection_id)]


async def _held(tx: Transaction, organization_id: UUID, connection_id: UUID) -> Connection:
    """The connection, whether it is open or removed, held so that two admins follow one another."""
    found = await repository.connection_of(tx, organization_id, connection_id, lock=True)
    if found is None:
        raise not_found()
    return found


async def _note(tx: Transaction, keyring: Keyring, row: DisputedRange, actor: Actor, change: str) -> None:
    until = row.received_until.isoformat() if row.received_until else None
    facts = {"change": change, "from": row.received_from.isoformat(), "until": until}
    where = (tx, keyring, row.organization_id, Act.CONNECTION)
    await append(*where, facts=facts, actor=actor, connection=row.connection_id, dispute=row.id)


def _where(row: DisputedRange) -> tuple[object, ...]:
    return ("disputed_range", "reason_sealed", row.connection_id, row.id)


async def _opened(tx: Transaction, keyring: Keyring, row: DisputedRange) -> DisputeView:
    return _view(row, await keyring.unseal(tx, row.organization_id, Lane.FACTUAL, row.reason_sealed, *_where(row)))


def _view(row: DisputedRange, reason: str) -> DisputeView:
    return DisputeView(
        id=row.id,
        received_from=row.received_from,
        received_until=row.received_until,
        reason=reason,
        created_at=row.created_at,
        withdrawn_at=row.withdrawn_at,
    )
