"""All SQL of health: what came in over each connection, and what became of it. One query each for any number of connections."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, select, union_all

from app.connections.models import Connection
from app.connections.polls import RETRIES
from app.intake.look_ups import nobodys
from app.intake.models import Channel, Event, EventOutcome, HandedOn, LookUp, LookUpState, Receipt, ReceiptState, Refusal
from app.kit.database import Transaction

Ids = Collection[UUID]


def _not_before(moment: datetime) -> UUID:
    """The least id that can have been made at a moment or later (UUIDv7): what bounds a scan to the newest rows."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def last_received(tx: Transaction, connection_ids: Ids) -> dict[UUID, datetime]:
    """When anything authentic came in last, the same bytes again included; connections without a receipt are left out."""
    newest = select(func.max(Receipt.last_received_at)).where(Receipt.connection_id == Connection.id).correlate(Connection)
    query = select(Connection.id, newest.scalar_subquery()).where(Connection.id.in_(connection_ids))
    return {row[0]: row[1] for row in (await tx.execute(query)).all() if row[1] is not None}


async def unhandled(tx: Transaction, connection_ids: Ids) -> dict[UUID, tuple[int, datetime]]:
    """Receipts that wait to be handled, and messages in them that wait to be handed on: `(how many, since when the oldest)`."""
    stored = select(Receipt.connection_id, Receipt.received_at).where(Receipt.state == ReceiptState.STORED)
    in_it = (Event.connection_id == HandedOn.connection_id) & (Event.id == HandedOn.event_id)
    inside = select(HandedOn.connection_id, Event.received_at).join(Event, in_it).where(HandedOn.due_at.is_not(None))
    waits = union_all(
        stored.where(Receipt.connection_id.in_(connection_ids)), inside.where(HandedOn.connection_id.in_(connection_ids))
    ).subquery()
    query = select(waits.c.connection_id, func.count(), func.min(waits.c.received_at)).group_by(waits.c.connection_id)
    return {row[0]: (row[1], row[2]) for row in (await tx.execute(query)).all()}


async def set_aside(tx: Transaction, organization_id: UUID, since: datetime) -> dict[UUID, int]:
    """Receipts that are stale or could not be cut up, and came in since a moment."""
    query = select(Receipt.connection_id, func.count()).where(
        Receipt.organization_id == organization_id,
        Receipt.state.in_((ReceiptState.STALE, ReceiptState.UNSPLITTABLE)),
        Receipt.id >= _not_before(since),
        Receipt.received_at >= since,
    )
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(Receipt.connection_id))).all()}


async def events(tx: Transaction, connection_ids: Ids, since: datetime) -> dict[UUID, int]:
    """Events cut out of what came in since a moment."""
    query = select(Event.connection_id, func.count()).where(
        Event.connection_id.in_(connection_ids), Event.id >= _not_before(since), Event.received_at >= since
    )
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(Event.connection_id))).all()}


async def quarantined(tx: Transaction, organization_id: UUID, since: datetime) -> dict[UUID, dict[str, int]]:
    """Events of what came in since a moment that are in quarantine now, by reason."""
    query = select(Event.connection_id, Event.reason, func.count()).where(
        Event.organization_id == organization_id,
        Event.outcome == EventOutcome.QUARANTINED,
        Event.id >= _not_before(since),
        Event.received_at >= since,
    )
    found: dict[UUID, dict[str, int]] = {}
    for connection_id, reason, count in (await tx.execute(query.group_by(Event.connection_id, Event.reason))).all():
        found.setdefault(connection_id, {})[reason or ""] = count
    return found


async def refused(tx: Transaction, connection_ids: Ids, day: date) -> dict[UUID, int]:
    """Deliveries that were refused on a day (UTC)."""
    query = select(Refusal.connection_id, func.sum(Refusal.count)).where(
        Refusal.connection_id.in_(connection_ids), Refusal.day == day
    )
    return {row[0]: int(row[1]) for row in (await tx.execute(query.group_by(Refusal.connection_id))).all()}


async def pushed(tx: Transaction, connection_ids: Ids, since: datetime) -> set[UUID]:
    """The connections to which something authentic was sent since a moment, the same bytes again included."""
    query = select(Receipt.connection_id).where(
        Receipt.connection_id.in_(connection_ids), Receipt.last_received_at >= since, Receipt.channel == Channel.WEBHOOK
    )
    return set((await tx.execute(query.distinct())).scalars())


@dataclass(frozen=True, slots=True)
class LookUps:
    """How many notices of one connection wait for an enrollment or a consent, or speak of what the provider does not know.

    `not_found`: those that prove themselves, of the second sort, and those that are still asked about after the first hours.
    `nobodys`: those of the first sort whose person is not enrolled; `nobodys_since`: since when the oldest of them waits.
    `failing`: those that had no answer at all, several times in a row.
    """

    waiting: int = 0
    unknown: int = 0
    not_found: int = 0
    nobodys: int = 0
    nobodys_since: datetime | None = None
    failing: int = 0


async def look_ups(tx: Transaction, organization_id: UUID, late: int) -> dict[UUID, LookUps]:
    """The notices that did not lead to anything yet; `late`: from how many empty answers on a proven one is not found."""
    unknown = LookUp.state == LookUpState.UNKNOWN
    missed = LookUp.trusted & (unknown | ((LookUp.state == LookUpState.DUE) & (LookUp.attempts >= late)))
    query = (
        select(
            LookUp.connection_id,
            _how_many(LookUp.state == LookUpState.WAITING),
            _how_many(unknown),
            _how_many(missed),
            _how_many(nobodys()),
            func.min(case((nobodys(), func.coalesce(LookUp.asked_at, Event.received_at)))),
            _how_many((LookUp.state == LookUpState.DUE) & (LookUp.failures > RETRIES)),
        )
        .outerjoin(Event, (Event.connection_id == LookUp.connection_id) & (Event.id == LookUp.event_id))
        .where(
            LookUp.organization_id == organization_id,
            LookUp.state.in_((LookUpState.WAITING, LookUpState.UNKNOWN, LookUpState.DUE)),
        )
    )
    return {row[0]: LookUps(*row[1:]) for row in (await tx.execute(query.group_by(LookUp.connection_id))).all()}


def _how_many(so: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((so, 1), else_=0)), 0)
