"""Whether each organization's log goes on: entries get their places, and what was written is read again."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select

from app.kit import clock
from app.kit.database import Transaction
from app.ledger.full_look import MOST_AHEAD
from app.ledger.models import Checkpoint, Head, Pending
from app.watch.repository import first_id_of

LATE_AFTER = timedelta(minutes=2)
"""After how long an entry should have its place, and a leaf have been read again: many turns of what does so."""

UNVERIFIED_AFTER = timedelta(days=3)
"""After how long a whole log should have been verified: three turns of what does so."""


async def waits_too_long(tx: Transaction, organization_id: UUID) -> bool:
    """Whether an entry waits for its place, and the log has not grown meanwhile."""
    waiting = select(Pending.entry_id).where(Pending.organization_id == organization_id)
    oldest = (await tx.execute(waiting.order_by(Pending.entry_id).limit(1))).scalar_one_or_none()
    since = clock.now() - LATE_AFTER
    if oldest is None or oldest >= first_id_of(since):
        return False
    grown = select(Checkpoint.at).where(Checkpoint.organization_id == organization_id)
    last = (await tx.execute(grown.order_by(Checkpoint.size.desc()).limit(1))).scalar_one_or_none()
    return last is None or last < since


async def unlike_what_was_written(tx: Transaction, organization_id: UUID) -> int | None:
    """The position of a leaf that should have been read again by now: it is not its entry's, or nobody reads."""
    here = (await tx.execute(select(Head.read_back).where(Head.organization_id == organization_id))).scalar_one_or_none()
    if here is None:
        return None
    signed = select(Checkpoint.at).where(Checkpoint.organization_id == organization_id, Checkpoint.size > here)
    first = (await tx.execute(signed.order_by(Checkpoint.size).limit(1))).scalar_one_or_none()
    return here if first is not None and first < clock.now() - LATE_AFTER else None


async def found_wrong(tx: Transaction, organization_id: UUID) -> int:
    """How many things were wrong when the whole log was last verified."""
    found = (await tx.execute(select(Head.found_wrong).where(Head.organization_id == organization_id))).scalar_one_or_none()
    return found or 0


async def is_unverified(tx: Transaction, organization_id: UUID) -> bool:
    """Whether nobody has verified the whole log for days, though there was something to verify."""
    last = (await tx.execute(select(Head.verified_at).where(Head.organization_id == organization_id))).scalar_one_or_none()
    first = select(func.min(Checkpoint.at)).where(Checkpoint.organization_id == organization_id)
    since, now = last or (await tx.execute(first)).scalar_one(), clock.now()
    return since is not None and not now - UNVERIFIED_AFTER <= since <= now + MOST_AHEAD


async def is_amiss(tx: Transaction, organization_id: UUID) -> bool:
    """Whether something is wrong with an organization's log."""
    if await waits_too_long(tx, organization_id) or await found_wrong(tx, organization_id):
        return True
    if await is_unverified(tx, organization_id):
        return True
    return await unlike_what_was_written(tx, organization_id) is not None


async def told(tx: Transaction, organization_id: UUID) -> list[str]:
    """What there is to say about an organization's log, in sentences."""
    said = []
    look = f"Look: harmline ledger verify --organization {organization_id}"
    if await waits_too_long(tx, organization_id):
        said.append(f"Entries of the ledger wait for their place in the log of {organization_id}. {look}")
    at = await unlike_what_was_written(tx, organization_id)
    if at is not None:
        said.append(f"The log of {organization_id} was not read again from position {at} on, or is not what was written. {look}")
    if count := await found_wrong(tx, organization_id):
        said.append(
            f"When the log of {organization_id} was last verified as a whole, something was wrong ({count} findings). {look}"
        )
    if await is_unverified(tx, organization_id):
        days = f"{UNVERIFIED_AFTER.days} days"
        said.append(f"The log of {organization_id} was not verified as a whole for {days}: the service does it daily. {look}")
    return said
