"""All SQL of intake: keep a receipt once, count what is refused, take waiting receipts, write events and alerts once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, update

from app.connections.models import Connection
from app.intake.models import (
    AlertRow,
    Event,
    EventOutcome,
    LookUp,
    LookUpState,
    Receipt,
    ReceiptState,
    Refusal,
)
from app.kit.database import Transaction, upsert

_TO_BE_ASKED = LookUp.state.in_((LookUpState.WAITING, LookUpState.DUE)) | ((LookUp.state == LookUpState.UNKNOWN) & LookUp.trusted)
"""Notices whose alert may still come: of those that prove themselves, also what the provider did not know so far."""


async def keep(tx: Transaction, values: dict[str, Any]) -> UUID:
    """Insert a receipt, or count a repeat on the one that holds the same bytes; returns the id of the receipt.

    A repeat that is in time wakes a receipt that was set aside as stale.
    """
    insert = upsert(tx, Receipt).values(**values)
    in_time = (Receipt.state == ReceiptState.STALE) & (insert.excluded.state == ReceiptState.STORED)
    fresh = ("state", "verification", "reason")
    kept = insert.on_conflict_do_update(
        index_elements=["connection_id", "body_hash"],
        set_={
            "repeats": Receipt.repeats + 1,
            "last_received_at": insert.excluded.last_received_at,
            **{name: case((in_time, insert.excluded[name]), else_=getattr(Receipt, name)) for name in fresh},
        },
    ).returning(Receipt.id)
    receipt_id: UUID = (await tx.execute(kept)).scalar_one()
    return receipt_id


async def count_refusal(tx: Transaction, organization_id: UUID, connection_id: UUID, reason: str, now: datetime) -> None:
    """Count one refused delivery; nothing of it is kept."""
    values = {"connection_id": connection_id, "day": now.date(), "reason": reason, "organization_id": organization_id}
    counted = (
        upsert(tx, Refusal)
        .values(**values, count=1)
        .on_conflict_do_update(index_elements=["connection_id", "day", "reason"], set_={"count": Refusal.count + 1})
    )
    await tx.execute(counted)


async def take_waiting(tx: Transaction, limit: int) -> Sequence[tuple[Receipt, Connection]]:
    """The oldest receipts that wait, locked for this transaction; other workers step over them."""
    query = (
        select(Receipt, Connection)
        .join(Connection, Connection.id == Receipt.connection_id)
        .where(Receipt.state == ReceiptState.STORED)
        .order_by(Receipt.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Receipt)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def receipt(tx: Transaction, receipt_id: UUID) -> tuple[Receipt, Connection] | None:
    """One receipt with its connection, by id alone."""
    query = select(Receipt, Connection).join(Connection, Connection.id == Receipt.connection_id)
    row = (await tx.execute(query.where(Receipt.id == receipt_id).with_for_update(of=Receipt))).first()
    return None if row is None else (row[0], row[1])


async def event(tx: Transaction, connection_id: UUID, event_id: UUID) -> Event | None:
    """One event."""
    return await tx.get(Event, (connection_id, event_id))


async def events_of(tx: Transaction, connection_id: UUID, receipt_id: UUID) -> Sequence[Event]:
    """The events of one receipt, in the order in which they stand in it."""
    query = select(Event).where(Event.connection_id == connection_id, Event.receipt_id == receipt_id)
    return (await tx.execute(query.order_by(Event.position))).scalars().all()


async def alert_events(tx: Transaction, connection_id: UUID, alert_id: UUID) -> Sequence[Event]:
    """Every event of one alert: the first, sightings and revisions, in order of arrival."""
    query = select(Event).where(Event.connection_id == connection_id, Event.alert_id == alert_id)
    return (await tx.execute(query.order_by(Event.id))).scalars().all()


async def alert(tx: Transaction, connection_id: UUID, alert_id: UUID) -> AlertRow | None:
    """One alert."""
    return await tx.get(AlertRow, (connection_id, alert_id))


async def insert_alert(tx: Transaction, values: dict[str, Any]) -> tuple[AlertRow, bool]:
    """Insert an alert unless its key is there; returns it and whether it is new, and holds it for this transaction."""
    insert = upsert(tx, AlertRow).values(**values)
    new = insert.on_conflict_do_nothing(index_elements=["connection_id", "dedupe_key"]).returning(AlertRow.id)
    is_new = (await tx.execute(new)).scalar_one_or_none() is not None
    held = (
        select(AlertRow)
        .where(AlertRow.connection_id == values["connection_id"], AlertRow.dedupe_key == values["dedupe_key"])
        .with_for_update()
    )
    return (await tx.execute(held)).scalar_one(), is_new


async def has_content(tx: Transaction, connection_id: UUID, alert_id: UUID, content_hash: bytes) -> bool:
    """Whether some event of this alert already said exactly this."""
    query = select(Event.id).where(
        Event.connection_id == connection_id, Event.alert_id == alert_id, Event.content_hash == content_hash
    )
    return (await tx.execute(query.limit(1))).first() is not None


async def destroy_keys(tx: Transaction, connection_id: UUID, receipt_ids: set[UUID], event_ids: set[UUID]) -> None:
    """Destroy the keys of receipts and of single events: what they sealed can never be read again."""
    await tx.execute(
        update(Receipt).where(Receipt.connection_id == connection_id, Receipt.id.in_(receipt_ids)).values(wrapped_key=None)
    )
    await tx.execute(
        update(Event).where(Event.connection_id == connection_id, Event.id.in_(event_ids)).values(wrapped_key=None, sealed=None)
    )


async def kept_about(tx: Transaction, connection_id: UUID, reference_index: bytes) -> tuple[set[UUID], set[UUID]]:
    """What is kept about one reference: `(receipts, events)`; of a receipt with others' events these have keys of their own."""
    fetched = select(Receipt.id).where(Receipt.connection_id == connection_id, Receipt.about_index == reference_index)
    told = select(Event.receipt_id, Event.id).where(
        Event.connection_id == connection_id, Event.reference_index == reference_index
    )
    events = (await tx.execute(told)).all()
    receipts = set((await tx.execute(fetched)).scalars()) | {row[0] for row in events}
    return receipts, {row[1] for row in events}


async def raw_older_than(tx: Transaction, connector: str, before: datetime, after: UUID, limit: int) -> Sequence[Receipt]:
    """Receipts of one connector from before a moment that still hold their bodies, by id, held for this transaction.

    Left out: those with something that is not understood or looked up yet.
    """
    unfinished = select(Event.receipt_id).where(
        Event.connection_id == Receipt.connection_id,
        Event.receipt_id == Receipt.id,
        (Event.outcome == EventOutcome.QUARANTINED) | Event.id.in_(select(LookUp.event_id).where(_TO_BE_ASKED)),
    )
    query = (
        select(Receipt)
        .join(Connection, Connection.id == Receipt.connection_id)
        .where(Connection.connector == connector, Receipt.state == ReceiptState.HANDLED, Receipt.wrapped_key.is_not(None))
        .where(Receipt.received_at < before, Receipt.id > after, ~unfinished.exists())
    )
    return (await tx.execute(query.order_by(Receipt.id).limit(limit).with_for_update(of=Receipt))).scalars().all()


async def to_replay(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[UUID]:
    """Receipts with something set aside: quarantined events, unsplittable or stale receipts, oldest first."""
    quarantined = select(Event.receipt_id).where(
        Event.organization_id == organization_id, Event.outcome == EventOutcome.QUARANTINED
    )
    waiting = Receipt.state.in_((ReceiptState.UNSPLITTABLE, ReceiptState.STALE)) | Receipt.id.in_(quarantined)
    query = select(Receipt.id).where(Receipt.organization_id == organization_id, Receipt.id > after, waiting)
    return (await tx.execute(query.order_by(Receipt.id).limit(limit))).scalars().all()


async def quarantined_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Event]:
    """The next quarantined events, oldest first."""
    query = select(Event).where(
        Event.organization_id == organization_id, Event.outcome == EventOutcome.QUARANTINED, Event.id > after
    )
    return (await tx.execute(query.order_by(Event.id).limit(limit))).scalars().all()


async def set_aside_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Receipt]:
    """The next receipts that are stale or could not be cut, oldest first."""
    states = (ReceiptState.UNSPLITTABLE, ReceiptState.STALE)
    query = select(Receipt).where(Receipt.organization_id == organization_id, Receipt.state.in_(states), Receipt.id > after)
    return (await tx.execute(query.order_by(Receipt.id).limit(limit))).scalars().all()


def _of(
    table: type[Receipt | Event | Refusal | AlertRow], organization_id: UUID, connection_id: UUID | None
) -> list[ColumnElement[bool]]:
    """What is an organization's, or, where one is named, one connection's."""
    ours = [table.organization_id == organization_id]
    return ours if connection_id is None else [*ours, table.connection_id == connection_id]


async def receipt_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> list[tuple[str, int, int]]:
    """Receipts by state, of all connections or one: `(state, receipts, repeats)`."""
    query = select(Receipt.state, func.count(), func.coalesce(func.sum(Receipt.repeats), 0))
    query = query.where(*_of(Receipt, organization_id, connection_id)).group_by(Receipt.state)
    return [(row[0], row[1], int(row[2])) for row in (await tx.execute(query)).all()]


async def receipts_of(tx: Transaction, connection_id: UUID) -> tuple[int, int]:
    """How much came in over one connection: `(receipts, repeats)`."""
    query = select(func.count(), func.coalesce(func.sum(Receipt.repeats), 0)).where(Receipt.connection_id == connection_id)
    row = (await tx.execute(query)).one()
    return row[0], int(row[1])


async def event_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, int]:
    """Events by outcome, of all connections or one."""
    query = select(Event.outcome, func.count()).where(*_of(Event, organization_id, connection_id))
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(Event.outcome))).all()}


async def refusal_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, int]:
    """Refused deliveries by reason, of all connections or one."""
    query = select(Refusal.reason, func.sum(Refusal.count)).where(*_of(Refusal, organization_id, connection_id))
    return {row[0]: int(row[1]) for row in (await tx.execute(query.group_by(Refusal.reason))).all()}


async def alert_count(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> int:
    """How many distinct alerts there are, of all connections or one."""
    query = select(func.count()).select_from(AlertRow).where(*_of(AlertRow, organization_id, connection_id))
    return (await tx.execute(query)).scalar_one()


async def grade_of_receipt(tx: Transaction, connection_id: UUID, receipt_id: UUID) -> str:
    """How well one receipt is proven."""
    query = select(Receipt.grade).where(Receipt.connection_id == connection_id, Receipt.id == receipt_id)
    return (await tx.execute(query)).scalar_one()
