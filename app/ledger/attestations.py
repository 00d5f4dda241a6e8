"""All SQL about what others attest of the logs: who has stamped or cosigned what, and since when who is behind."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update

from app.kit.database import Transaction, upsert
from app.kit.outbox import ConsumerState, ensure
from app.ledger.models import Checkpoint, Cosignature, Head, Timestamp


async def take_turn(tx: Transaction, name: str, owner: UUID, now: datetime, lasts: timedelta) -> bool:
    """Take the turn of this name, unless another process has it; it ends by itself after `lasts`, or by `end_turn`.

    Without a fence: what is written in a turn was verified, and is written once, whoever comes first.
    """
    await ensure(tx, name)
    free = or_(ConsumerState.lease_until.is_(None), ConsumerState.lease_until <= now, ConsumerState.lease_owner == owner)
    taken = update(ConsumerState).where(ConsumerState.consumer == name, free)
    taken = taken.values(lease_owner=owner, lease_until=now + lasts)
    return (await tx.execute(taken.returning(ConsumerState.consumer))).scalar_one_or_none() is not None


async def end_turn(tx: Transaction, name: str, owner: UUID) -> None:
    """Let others have it."""
    mine = update(ConsumerState).where(ConsumerState.consumer == name, ConsumerState.lease_owner == owner)
    await tx.execute(mine.values(lease_owner=None, lease_until=None))


async def logs(tx: Transaction) -> Sequence[UUID]:
    """The organizations that have a log, nobody's (0) too."""
    return (await tx.execute(select(Head.organization_id).order_by(Head.organization_id))).scalars().all()


async def waiting_since(tx: Transaction, organization_id: UUID, size: int) -> datetime | None:
    """When the first checkpoint after this size was made; None: there is none."""
    query = select(Checkpoint.at).where(Checkpoint.organization_id == organization_id, Checkpoint.size > size)
    return (await tx.execute(query.order_by(Checkpoint.size).limit(1))).scalar_one_or_none()


async def cosigned_sizes(tx: Transaction, organization_id: UUID, witnesses: Collection[str]) -> dict[str, int]:
    """The largest size that each witness (by its key's name) has cosigned; 0 for none."""
    of = Cosignature
    query = select(of.witness, func.max(of.size).label("size"))
    query = query.where(of.organization_id == organization_id, of.witness.in_(witnesses))
    found = {row.witness: row.size for row in (await tx.execute(query.group_by(of.witness))).all()}
    return {name: found.get(name, 0) for name in witnesses}


async def last_stamps(tx: Transaction, organization_id: UUID, authorities: Collection[str]) -> dict[str, tuple[int, datetime]]:
    """The largest size that each authority has stamped, and when we got it; nothing for one that has stamped none."""
    found: dict[str, tuple[int, datetime]] = {}
    for name in authorities:
        of = select(Timestamp.size, Timestamp.at)
        of = of.where(Timestamp.organization_id == organization_id, Timestamp.authority == name)
        row = (await tx.execute(of.order_by(Timestamp.size.desc()).limit(1))).one_or_none()
        if row is not None:
            found[name] = (row[0], row[1])
    return found


async def keep_cosignature(tx: Transaction, organization_id: UUID, size: int, witness: str, line: str, at: datetime) -> None:
    """Keep a cosignature that was verified, its line without the newline; the first of a witness for a checkpoint stays."""
    row = {"organization_id": organization_id, "size": size, "witness": witness, "line": line, "at": at}
    await tx.execute(upsert(tx, Cosignature).values(**row).on_conflict_do_nothing())


async def keep_timestamp(tx: Transaction, organization_id: UUID, size: int, authority: str, raw: bytes, at: datetime) -> None:
    """Keep an authority's answer that was verified, as it came; the first for a checkpoint stays."""
    row = {"organization_id": organization_id, "size": size, "authority": authority, "response": raw, "at": at}
    await tx.execute(upsert(tx, Timestamp).values(**row).on_conflict_do_nothing())


async def timestamp(tx: Transaction, organization_id: UUID, size: int, authority: str) -> Timestamp | None:
    """What one authority answered for one checkpoint."""
    return await tx.get(Timestamp, (organization_id, size, authority))


async def newest_cosignatures(tx: Transaction, organization_id: UUID) -> Sequence[Cosignature]:
    """The newest cosignature of each witness that ever cosigned, by name."""
    of = Cosignature
    newest = select(of.witness, func.max(of.size).label("size")).where(of.organization_id == organization_id)
    found = newest.group_by(of.witness).subquery()
    query = select(of).join(found, (of.witness == found.c.witness) & (of.size == found.c.size))
    return (await tx.execute(query.where(of.organization_id == organization_id).order_by(of.witness))).scalars().all()


async def newest_timestamps(tx: Transaction, organization_id: UUID) -> Sequence[Timestamp]:
    """The newest answer of each authority that ever stamped, by name."""
    of = Timestamp
    newest = select(of.authority, func.max(of.size).label("size")).where(of.organization_id == organization_id)
    found = newest.group_by(of.authority).subquery()
    query = select(of).join(found, (of.authority == found.c.authority) & (of.size == found.c.size))
    return (await tx.execute(query.where(of.organization_id == organization_id).order_by(of.authority))).scalars().all()
