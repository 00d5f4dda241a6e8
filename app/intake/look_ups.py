"""All SQL of look-ups."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, delete, exists, func, select, update

from app.intake.models import Event, LookUp, LookUpState
from app.kit.database import Transaction, upsert
from app.members.models import Enrollment


async def insert(tx: Transaction, values: dict[str, Any], *, late: int) -> str:
    """Insert a look-up; its state.

    Where it is there already, it is looked up anew when this notice proves more than the first, or when it was given up, or
    waited, and its person has agreed since; or when a notice that proves itself tells of what the provider did not know, the
    last time or at more than `late` attempts.
    """
    new = upsert(tx, LookUp).values(**values)
    proves_more = new.excluded.trusted & ~LookUp.trusted & (LookUp.state != LookUpState.DONE)
    agreed_since = LookUp.state.in_((LookUpState.GIVEN_UP, LookUpState.WAITING)) & (new.excluded.state == LookUpState.DUE)
    not_found = LookUp.state.in_((LookUpState.UNKNOWN, LookUpState.LEFT))
    told_again = new.excluded.trusted & (not_found | ((LookUp.state == LookUpState.DUE) & (LookUp.attempts > late)))
    anew = proves_more | agreed_since | told_again
    fresh = ("state", "due_at", "attempts", "failures", "event_id", "trusted")
    changes = {name: case((anew, new.excluded[name]), else_=getattr(LookUp, name)) for name in fresh}
    kept = new.on_conflict_do_update(index_elements=["connection_id", "key"], set_=changes).returning(LookUp.state)
    state: str = (await tx.execute(kept)).scalar_one()
    return state


async def due(tx: Transaction, connection_id: UUID, now: datetime, limit: int, *, trusted_only: bool) -> Sequence[LookUp]:
    """The next look-ups of a connection: proven notices first, then by age."""
    query = select(LookUp).where(LookUp.connection_id == connection_id, LookUp.state == LookUpState.DUE, LookUp.due_at <= now)
    if trusted_only:
        query = query.where(LookUp.trusted)
    return (await tx.execute(query.order_by(LookUp.trusted.desc(), LookUp.due_at, LookUp.key).limit(limit))).scalars().all()


async def next_due(tx: Transaction, connection_id: UUID, *, trusted_only: bool) -> datetime | None:
    """When the next look-up of a connection is due."""
    query = select(func.min(LookUp.due_at)).where(LookUp.connection_id == connection_id, LookUp.state == LookUpState.DUE)
    if trusted_only:
        query = query.where(LookUp.trusted)
    return (await tx.execute(query)).scalar_one()


async def row(tx: Transaction, connection_id: UUID, key: bytes) -> LookUp:
    """One look-up, held for this transaction."""
    query = select(LookUp).where(LookUp.connection_id == connection_id, LookUp.key == key).with_for_update()
    return (await tx.execute(query)).scalar_one()


def nobodys() -> ColumnElement[bool]:
    """Waits, and nobody is enrolled under its reference: no member can be asked about it."""
    same = (Enrollment.connection_id == LookUp.connection_id) & (Enrollment.reference_index == LookUp.reference_index)
    enrolled = exists().where(same, Enrollment.organization_id == LookUp.organization_id, Enrollment.ended_at.is_(None))
    return (LookUp.state == LookUpState.WAITING) & ~enrolled


async def nobodys_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[tuple[LookUp, datetime]]:
    """The next notices about somebody who is not enrolled, by event, each with since when it waits."""
    query = _nobodys_of(organization_id).where(LookUp.event_id > after).order_by(LookUp.event_id).limit(limit)
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def one_of_nobody(tx: Transaction, organization_id: UUID, event_id: UUID) -> tuple[LookUp, datetime] | None:
    """One of these notices."""
    query = _nobodys_of(organization_id).where(LookUp.event_id == event_id).limit(1)
    found = (await tx.execute(query)).first()
    return (found[0], found[1]) if found else None


def _nobodys_of(organization_id: UUID) -> Select[LookUp, datetime]:
    since = func.coalesce(LookUp.asked_at, Event.received_at)
    return select(LookUp, since).join(Event, _told()).where(LookUp.organization_id == organization_id, nobodys())


def _told() -> ColumnElement[bool]:
    return (Event.connection_id == LookUp.connection_id) & (Event.id == LookUp.event_id)


async def not_found(tx: Transaction, organization_id: UUID, event_id: UUID) -> LookUp | None:
    """One notice that proves itself and of which the provider knows nothing, held for this transaction."""
    query = _not_found(organization_id).where(LookUp.event_id == event_id).with_for_update(of=LookUp)
    return (await tx.execute(query)).scalar_one_or_none()


async def not_found_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[tuple[LookUp, datetime]]:
    """The next of these notices by event, each with when it came in."""
    query = _not_found(organization_id).add_columns(Event.received_at).join(Event, _told()).where(LookUp.event_id > after)
    return [(row[0], row[1]) for row in (await tx.execute(query.order_by(LookUp.event_id).limit(limit))).all()]


def _not_found(organization_id: UUID) -> Select[LookUp]:
    return select(LookUp).where(LookUp.organization_id == organization_id, LookUp.state == LookUpState.UNKNOWN, LookUp.trusted)


async def ask_for_unknown(tx: Transaction, connection_id: UUID, now: datetime) -> bool:
    """Let everything be asked for once more that proves itself and that the provider did not know; whether there is any."""
    here = (LookUp.connection_id == connection_id, LookUp.state == LookUpState.UNKNOWN, LookUp.trusted)
    again = update(LookUp).where(*here).values(state=LookUpState.DUE, due_at=now).returning(LookUp.key)
    return (await tx.execute(again.execution_options(synchronize_session=False))).first() is not None


async def waiting_for(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> Sequence[LookUp]:
    """What waits behind any enrollment of these members."""
    same = (Enrollment.connection_id == LookUp.connection_id) & (Enrollment.reference_index == LookUp.reference_index)
    query = (
        select(LookUp)
        .join(Enrollment, same)
        .where(
            LookUp.organization_id == organization_id,
            LookUp.state == LookUpState.WAITING,
            Enrollment.organization_id == organization_id,
            Enrollment.member_id.in_(member_ids),
            Enrollment.ended_at.is_(None),
        )
    )
    return (await tx.execute(query)).scalars().all()


async def set_due(tx: Transaction, connection_id: UUID, references: Collection[bytes], now: datetime) -> None:
    """Let what waited about these references be looked up."""
    here = (LookUp.connection_id == connection_id, LookUp.reference_index.in_(references))
    ready = update(LookUp).where(*here, LookUp.state == LookUpState.WAITING)
    await tx.execute(ready.values(state=LookUpState.DUE, due_at=now))


async def wait_anew(tx: Transaction, connection_id: UUID, reference_index: bytes, now: datetime) -> None:
    """Let what waits about one reference wait from now on."""
    here = (LookUp.connection_id == connection_id, LookUp.reference_index == reference_index)
    await tx.execute(update(LookUp).where(*here, LookUp.state == LookUpState.WAITING).values(asked_at=now))


async def waiting_since(tx: Transaction, before: datetime, after: bytes, limit: int) -> Sequence[LookUp]:
    """What has waited since before a moment, by key."""
    noticed = select(Event.received_at).where(_told()).scalar_subquery()
    waits = func.coalesce(LookUp.asked_at, noticed)
    query = select(LookUp).where(LookUp.state == LookUpState.WAITING, LookUp.key > after, waits <= before)
    return (await tx.execute(query.order_by(LookUp.key).limit(limit).with_for_update())).scalars().all()


async def forget(tx: Transaction, connection_id: UUID, reference_index: bytes) -> None:
    """Delete what was to be looked up about one reference."""
    gone = delete(LookUp).where(LookUp.connection_id == connection_id, LookUp.reference_index == reference_index)
    await tx.execute(gone)


async def counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, int]:
    """Look-ups by state, of one connection or of all."""
    query = select(LookUp.state, func.count()).where(LookUp.organization_id == organization_id)
    if connection_id is not None:
        query = query.where(LookUp.connection_id == connection_id)
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(LookUp.state))).all()}
