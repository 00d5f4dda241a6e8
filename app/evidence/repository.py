"""All SQL of evidence packets: who and what is in scope, the acts that are in the log, numbers. Scoped by organization."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, func, or_, select, union

from app.breaches.models import Breach, ExposureRow, Matter, MemberEvidence
from app.evidence.models import BatesNumber
from app.incidents.models import MemberAlert, MemberEvent, Unmatched
from app.intake.models import AlertRow, Event, HandedOn
from app.kit.database import Transaction
from app.kit.rows import among, chosen
from app.ledger.models import Cosignature, Leaf, LedgerEntry, Timestamp
from app.ledger.service import Act
from app.members.models import Enrollment, Member, Organization

_ON_PAGES = (Act.VERDICT, Act.LOSS, Act.LINK, Act.MERGE)


class Told(NamedTuple):
    """One event of an alert in scope: whose it is, and where it came from."""

    member_id: UUID
    alert_id: UUID
    event_id: UUID
    connection_id: UUID
    receipt_id: UUID
    outcome: str
    received_at: datetime


class Unread(NamedTuple):
    """An alert about somebody in scope that is not theirs to show, or not yet. `reason`: why, where the queue says it."""

    member_id: UUID
    alert_id: UUID
    connection_id: UUID
    reason: str | None


async def matter_with_breach(tx: Transaction, matter_id: UUID) -> tuple[Matter, Breach] | None:
    """A matter and the breach that it is about."""
    query = select(Matter, Breach).join(Breach, Breach.id == Matter.breach_id).where(Matter.id == matter_id)
    row = (await tx.execute(query)).first()
    return None if row is None else (row[0], row[1])


async def members_of_breach(tx: Transaction, organization_id: UUID, breach_id: UUID) -> list[UUID]:
    """The members whose data a breach exposed, or whom something names in it, by id; as counsel may see them."""
    exposed = select(ExposureRow.member_id).where(ExposureRow.breach_id == breach_id)
    named = select(MemberEvidence.member_id).where(MemberEvidence.breach_id == breach_id)
    query = select(Member.id).where(
        Member.organization_id == organization_id, Member.erased_at.is_(None), Member.id.in_(union(exposed, named))
    )
    return list((await tx.execute(query.order_by(Member.id))).scalars())


async def erased_members(tx: Transaction, organization_id: UUID) -> set[UUID]:
    """Everybody who was erased."""
    query = select(Member.id).where(Member.organization_id == organization_id, Member.erased_at.is_not(None))
    return set((await tx.execute(query)).scalars())


async def told_to(tx: Transaction, member_ids: Collection[UUID]) -> list[Told]:
    """Every event of these members, in order of member and arrival."""
    columns: list[Any] = [getattr(MemberEvent, name) for name in Told._fields]
    query = select(*columns).where(among(tx, MemberEvent.member_id, member_ids))
    ordered = query.order_by(MemberEvent.member_id, MemberEvent.received_at, MemberEvent.event_id)
    return [Told._make(row) for row in (await tx.execute(ordered)).all()]


async def told_of_erased(tx: Transaction, organization_id: UUID, alerts: dict[UUID, UUID]) -> list[Told]:
    """What is left of the events of some alerts whose members were erased. `alerts`: their member, by alert."""
    columns: list[Any] = [Event.alert_id, Event.id, Event.connection_id, Event.receipt_id, Event.outcome, Event.received_at]
    query = select(*columns).where(Event.organization_id == organization_id, among(tx, Event.alert_id, list(alerts)))
    rows = (await tx.execute(query.order_by(Event.received_at, Event.id))).all() if alerts else []
    found = [Told(alerts[row[0]], *row) for row in rows]
    return sorted(found, key=lambda one: one.member_id)


async def unread_of(tx: Transaction, member_ids: Collection[UUID], until: datetime) -> list[Unread]:
    """The alerts that came for any enrollment of these members by `until` and are nobody's, each once."""
    same = and_(Enrollment.connection_id == AlertRow.connection_id, Enrollment.reference_index == AlertRow.reference_index)
    waits = and_(Unmatched.connection_id == AlertRow.connection_id, Unmatched.alert_id == AlertRow.id)
    taken = and_(MemberAlert.connection_id == AlertRow.connection_id, MemberAlert.alert_id == AlertRow.id)
    query = (
        select(Enrollment.member_id, AlertRow.id, AlertRow.connection_id, Unmatched.reason)
        .join(AlertRow, same)
        .outerjoin(Unmatched, waits)
        .outerjoin(MemberAlert, taken)
        .where(among(tx, Enrollment.member_id, member_ids), MemberAlert.alert_id.is_(None), AlertRow.first_received_at <= until)
        .order_by(AlertRow.id, Enrollment.member_id)
    )
    found = [Unread._make(row) for row in (await tx.execute(query)).all()]
    return list({one.alert_id: one for one in found}.values())


async def references_of(tx: Transaction, agreed: Collection[tuple[UUID, UUID]]) -> frozenset[tuple[UUID, bytes]]:
    """By what providers mean these members now, `(connection, blind index)`. `agreed`: `(member, connection)`."""
    query = select(Enrollment.connection_id, Enrollment.reference_index).where(Enrollment.ended_at.is_(None))
    rows = await chosen(tx, query, (Enrollment.member_id, Enrollment.connection_id), agreed)
    return frozenset((row[0], row[1]) for row in rows)


async def handed_on_by(tx: Transaction, receipt_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Out of which receipt some receipts were handed on, for those that were."""
    out_of = (Event.connection_id == HandedOn.connection_id) & (Event.id == HandedOn.event_id)
    query = select(HandedOn.receipt_id, Event.receipt_id).join(Event, out_of)
    rows = (await tx.execute(query.where(among(tx, HandedOn.receipt_id, receipt_ids)))).all() if receipt_ids else []
    return {row[0]: row[1] for row in rows if row[0] is not None}


async def acts_after(tx: Transaction, organization_id: UUID, after: int, size: int, limit: int) -> list[tuple[int, LedgerEntry]]:
    """The next acts of the first `size` in an organization's log, each with its place; by place, after one."""
    query = (
        select(Leaf.position, LedgerEntry)
        .join(LedgerEntry, LedgerEntry.id == Leaf.entry_id)
        .where(Leaf.organization_id == organization_id, Leaf.position > after, Leaf.position < size)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query.order_by(Leaf.position).limit(limit))).all()]


async def acts_since(tx: Transaction, organization_id: UUID, size: int, member_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many acts that change these members' pages are not among the first `size` of a log, by member; those with any."""
    entry = LedgerEntry
    query = select(entry.member_id, func.count()).outerjoin(Leaf, Leaf.entry_id == entry.id)
    later = or_(Leaf.position.is_(None), Leaf.position >= size)
    query = query.where(entry.organization_id == organization_id, among(tx, entry.member_id, member_ids), later)
    rows = (await tx.execute(query.where(entry.kind.in_(_ON_PAGES)).group_by(entry.member_id))).all() if member_ids else []
    return {member: count for member, count in rows if member is not None}


async def acts_at(tx: Transaction, organization_id: UUID, positions: Collection[int]) -> list[tuple[int, LedgerEntry]]:
    """The acts at some places of an organization's log, by place."""
    query = (
        select(Leaf.position, LedgerEntry)
        .join(LedgerEntry, LedgerEntry.id == Leaf.entry_id)
        .where(Leaf.organization_id == organization_id, among(tx, Leaf.position, positions))
    )
    return [(row[0], row[1]) for row in (await tx.execute(query.order_by(Leaf.position))).all()]


async def hold_numbers(tx: Transaction, organization_id: UUID) -> None:
    """Let nobody else give numbers of this organization until this transaction ends."""
    await tx.execute(select(Organization.id).where(Organization.id == organization_id).with_for_update())


async def numbers_of(tx: Transaction, matter_id: UUID, prefix: str) -> dict[str, int]:
    """The numbers that exhibits of a matter have, by exhibit."""
    query = select(BatesNumber.exhibit, BatesNumber.number)
    rows = (await tx.execute(query.where(BatesNumber.matter_id == matter_id, BatesNumber.prefix == prefix))).all()
    return {row[0]: row[1] for row in rows}


async def last_number(tx: Transaction, organization_id: UUID, prefix: str) -> int:
    """The highest number that was ever given under a prefix; 0: none was."""
    query = select(func.max(BatesNumber.number)).where(
        BatesNumber.organization_id == organization_id, BatesNumber.prefix == prefix
    )
    return (await tx.execute(query)).scalar_one() or 0


async def vouched(tx: Transaction, organization_id: UUID, size: int) -> tuple[list[Cosignature], list[Timestamp]]:
    """Who vouched for a checkpoint, in the order of their names."""
    lines = select(Cosignature).where(Cosignature.organization_id == organization_id, Cosignature.size == size)
    stamps = select(Timestamp).where(Timestamp.organization_id == organization_id, Timestamp.size == size)
    return (
        list((await tx.execute(lines.order_by(Cosignature.witness))).scalars()),
        list((await tx.execute(stamps.order_by(Timestamp.authority))).scalars()),
    )


async def vouched_before(tx: Transaction, organization_id: UUID, size: int) -> list[int]:
    """The sizes of the last checkpoint before one that was cosigned, and of the last that was stamped; rising."""
    sizes = set()
    for table in (Cosignature, Timestamp):
        query = select(func.max(table.size)).where(table.organization_id == organization_id, table.size < size)
        sizes.add((await tx.execute(query)).scalar_one())
    return sorted(one for one in sizes if one is not None)
