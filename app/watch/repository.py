"""All SQL of watching. Every query is bounded: a step looks at a few hundred rows, found by an index, however many there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from app.connections.models import Connection
from app.incidents.models import Incident
from app.intake.models import Event, EventOutcome, Receipt, ReceiptState
from app.kit.database import Transaction
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from app.linkage.models import Link
from app.members.models import Organization

LATE = timedelta(seconds=2)
LATEST = timedelta(days=1)
"""How much later than the first byte of a delivery its entry in the ledger is looked for: first nearby, then far away."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one receipt comes to: its events by outcome, and the highest position among them; None without events."""

    id: UUID
    organization_id: UUID
    state: str
    outcomes: dict[str, int]
    highest: int | None
    in_ledger: bool
    odd_alerts: int


def moved(an_id: UUID, by: timedelta) -> UUID:
    """The least id of a moment that much after another id's (UUIDv7)."""
    milliseconds = (an_id.int >> 80) + int(by.total_seconds() * 1000)
    return UUID(int=max(0, min(milliseconds, (1 << 48) - 1)) << 80)


def first_id_of(moment: datetime) -> UUID:
    """The least id that can have been made at a moment or later (UUIDv7)."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


async def connections(tx: Transaction) -> Sequence[UUID]:
    """Every connection."""
    return (await tx.execute(select(Connection.id).order_by(Connection.id))).scalars().all()


async def organizations(tx: Transaction) -> Sequence[UUID]:
    """Every organization."""
    return (await tx.execute(select(Organization.id).order_by(Organization.id))).scalars().all()


async def receipts_after(tx: Transaction, connection_id: UUID, after: UUID, before: UUID, limit: int) -> list[UUID]:
    """The next receipts of a connection, by id."""
    query = select(Receipt.id).where(Receipt.connection_id == connection_id, Receipt.id > after, Receipt.id < before)
    return list((await tx.execute(query.order_by(Receipt.id).limit(limit))).scalars())


async def entries_after(
    tx: Transaction, organization_id: UUID, after: UUID, before: UUID, limit: int
) -> list[tuple[UUID, UUID | None, UUID | None]]:
    """The next entries of an organization's ledger: `(entry, connection, receipt)`; the last two of a receipt's entry only."""
    query = select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.subjects).where(
        LedgerEntry.organization_id == organization_id, LedgerEntry.id > after, LedgerEntry.id < before
    )
    rows = (await tx.execute(query.order_by(LedgerEntry.id).limit(limit))).all()
    return [
        (row[0], UUID(row[2]["connection"]), UUID(row[2]["receipt"])) if row[1] == Act.RECEIPT else (row[0], None, None)
        for row in rows
    ]


async def present(tx: Transaction, connection_id: UUID, receipt_ids: Collection[UUID]) -> dict[UUID, int]:
    """Which of some receipts are there, each with how often it was repeated."""
    query = select(Receipt.id, Receipt.repeats).where(Receipt.connection_id == connection_id, Receipt.id.in_(receipt_ids))
    return {row[0]: row[1] for row in (await tx.execute(query)).all()}


async def held(tx: Transaction, connection_id: UUID, receipt_ids: Sequence[UUID]) -> list[Held]:
    """What some receipts come to."""
    rows = select(Receipt.id, Receipt.organization_id, Receipt.state)
    found = (await tx.execute(rows.where(Receipt.connection_id == connection_id, Receipt.id.in_(receipt_ids)))).all()
    if not found:
        return []
    ids = [row[0] for row in found]
    counted = select(Event.receipt_id, Event.outcome, func.count(), func.max(Event.position))
    counted = counted.where(Event.connection_id == connection_id, Event.receipt_id.in_(ids))
    outcomes: dict[UUID, dict[str, int]] = {}
    highest: dict[UUID, int] = {}
    for receipt_id, outcome, count, position in (await tx.execute(counted.group_by(Event.receipt_id, Event.outcome))).all():
        outcomes.setdefault(receipt_id, {})[outcome] = count
        highest[receipt_id] = max(position, highest.get(receipt_id, position))
    odd = await _odd_alerts(tx, connection_id, ids)
    noted = await _in_ledger(tx, found[0][1], ids)
    return [
        Held(row[0], row[1], row[2], outcomes.get(row[0], {}), highest.get(row[0]), row[0] in noted, odd.get(row[0], 0))
        for row in found
    ]


async def _odd_alerts(tx: Transaction, connection_id: UUID, receipt_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many alerts, told of by some receipts, have other than one event that made them, by receipt."""
    told = select(Event.receipt_id, Event.alert_id).where(
        Event.connection_id == connection_id, Event.receipt_id.in_(receipt_ids), Event.alert_id.is_not(None)
    )
    pairs = {(row[0], row[1]) for row in (await tx.execute(told)).all()}
    made = select(Event.alert_id, func.count()).where(
        Event.connection_id == connection_id,
        Event.alert_id.in_({alert_id for _, alert_id in pairs}),
        Event.outcome == EventOutcome.NEW,
    )
    once = {row[0] for row in (await tx.execute(made.group_by(Event.alert_id))).all() if row[1] == 1}
    odd: dict[UUID, int] = {}
    for receipt_id, alert_id in pairs:
        odd[receipt_id] = odd.get(receipt_id, 0) + (alert_id not in once)
    return odd


async def _in_ledger(tx: Transaction, organization_id: UUID, receipt_ids: Sequence[UUID]) -> set[UUID]:
    """Which of some receipts have their entry in the ledger: nearly always right behind them."""
    first, last = min(receipt_ids), max(receipt_ids)
    receipt = LedgerEntry.subjects["receipt"].as_string()
    entries = select(receipt).where(
        LedgerEntry.organization_id == organization_id, LedgerEntry.kind == Act.RECEIPT, LedgerEntry.id >= moved(first, -LATE)
    )
    near = entries.where(LedgerEntry.id < moved(last, LATE)).limit(4 * len(receipt_ids) + 100)
    noted = {UUID(found) for found in (await tx.execute(near)).scalars()}
    left = [str(one) for one in receipt_ids if one not in noted]
    if left:
        far = entries.where(LedgerEntry.id < moved(last, LATEST), receipt.in_(left))
        noted |= {UUID(found) for found in (await tx.execute(far)).scalars()}
    return noted


async def is_newest_linked(tx: Transaction, member_id: UUID, since: datetime) -> bool:
    """Whether a member's newest incident came in since then and has a present link; nothing of either is read."""
    its = (Incident.member_id == member_id, Incident.redirect_to.is_(None))
    query = select(Incident.id, Incident.first_received_at).where(*its)
    newest = (await tx.execute(query.order_by(Incident.first_received_at.desc(), Incident.id.desc()).limit(1))).first()
    if newest is None or newest.first_received_at < since:
        return False
    present = (Link.member_id == member_id, Link.incident_id == newest.id, Link.superseded_at.is_(None))
    return (await tx.execute(select(Link.id).where(*present).limit(1))).first() is not None


async def oldest_stored(tx: Transaction) -> datetime | None:
    """Since when the oldest receipt waits to be handled. One look into a partial index."""
    query = select(Receipt.received_at).where(Receipt.state == ReceiptState.STORED).order_by(Receipt.id).limit(1)
    return (await tx.execute(query)).scalar_one_or_none()


async def stored(tx: Transaction, most: int) -> int:
    """How many receipts wait to be handled; never more than `most`, so that a long queue is not counted to its end."""
    some = select(Receipt.id).where(Receipt.state == ReceiptState.STORED).limit(most).subquery()
    return (await tx.execute(select(func.count()).select_from(some))).scalar_one()
