"""All SQL of packets that were asked for. Whoever works on one holds it by a lease with a fence."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, delete, exists, func, or_, select, update

from app.evidence.models import UNDER_WAY, BatesNumber, Packet, PacketMember, PacketTaken, State
from app.kit.database import Transaction
from app.kit.rows import among
from app.members.models import Member


async def of_matter(tx: Transaction, organization_id: UUID, matter_id: UUID) -> Sequence[Packet]:
    """Every packet of a matter, the newest first."""
    query = select(Packet).where(Packet.organization_id == organization_id, Packet.matter_id == matter_id)
    return (await tx.execute(query.order_by(Packet.asked_at.desc(), Packet.id.desc()))).scalars().all()


async def one(tx: Transaction, organization_id: UUID, matter_id: UUID, packet_id: UUID) -> Packet | None:
    """One packet of a matter."""
    query = select(Packet).where(Packet.organization_id == organization_id, Packet.matter_id == matter_id, Packet.id == packet_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def takings(tx: Transaction, packet_ids: Collection[UUID]) -> Sequence[PacketTaken]:
    """Who took these packets along, the first first."""
    query = select(PacketTaken).where(PacketTaken.packet_id.in_(packet_ids)).order_by(PacketTaken.at, PacketTaken.id)
    return (await tx.execute(query)).scalars().all()


async def count_under_way(tx: Transaction, matter_id: UUID) -> int:
    """How many packets of a matter somebody works on, or will."""
    query = select(func.count()).select_from(Packet).where(Packet.matter_id == matter_id, Packet.state.in_(UNDER_WAY))
    return (await tx.execute(query)).scalar_one()


async def order(tx: Transaction, packet_id: UUID, account_id: UUID, now: datetime) -> bool:
    """Have a packet built that was only shown; False when somebody has ordered it already."""
    change = update(Packet).where(Packet.id == packet_id, Packet.state == State.SHOWN)
    ordered = change.values(state=State.ORDERED, ordered_by=account_id, ordered_at=now).returning(Packet.id)
    return (await tx.execute(ordered)).scalar_one_or_none() is not None


async def members_in(tx: Transaction, packet_id: UUID) -> set[UUID]:
    """The members whose data a packet holds, or is about to."""
    return set((await tx.execute(select(PacketMember.member_id).where(PacketMember.packet_id == packet_id))).scalars())


async def shown_in(tx: Transaction, packet_id: UUID, member_id: UUID | None = None) -> set[tuple[UUID, UUID]]:
    """Of whom a packet shows what came over which connection, `(member, connection)`; of one member, or of everybody."""
    query = select(PacketMember.member_id, PacketMember.connections).where(PacketMember.packet_id == packet_id)
    if member_id is not None:
        query = query.where(PacketMember.member_id == member_id)
    rows = (await tx.execute(query)).all()
    return {(row[0], UUID(connection)) for row in rows for connection in row[1]}


async def leave_out(tx: Transaction, packet_id: UUID, member_ids: Collection[UUID]) -> None:
    """A packet will not hold these members' data after all."""
    if member_ids:
        gone = delete(PacketMember).where(PacketMember.packet_id == packet_id, among(tx, PacketMember.member_id, member_ids))
        await tx.execute(gone)


async def holds_erased(tx: Transaction, packet_id: UUID) -> bool:
    """Whether somebody was erased whose data a packet was to hold."""
    erased = exists().where(
        PacketMember.packet_id == packet_id, Member.id == PacketMember.member_id, Member.erased_at.is_not(None)
    )
    return bool((await tx.execute(select(erased))).scalar_one())


def _due(states: Collection[State], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Packet.state.in_(states),
        or_(Packet.lease_until.is_(None), Packet.lease_until <= now),
        or_(Packet.next_attempt_at.is_(None), Packet.next_attempt_at <= now),
    )


async def anything_due(tx: Transaction, states: Collection[State], now: datetime) -> bool:
    """Whether there is a packet in one of these states to work on."""
    return (await tx.execute(select(Packet.id).where(*_due(states, now)).limit(1))).first() is not None


async def claim(tx: Transaction, states: Collection[State], now: datetime, lease: timedelta) -> Packet | None:
    """Take the next packet to work on, in one of these states; None when there is none, or others work on all of them.

    Whoever stops working on one lets go of it: a lease that ran out is one of somebody who died.
    """
    due = _due(states, now)
    following = select(Packet.id).where(*due).order_by(Packet.id).limit(1).scalar_subquery()
    died = case((Packet.lease_until.is_(None), 0), else_=1)
    mine = {"lease_until": now + lease, "fence": Packet.fence + 1, "cut_short": Packet.cut_short + died}
    taken = update(Packet).where(Packet.id == following, *due).values(mine)
    return (await tx.execute(taken.returning(Packet))).scalar_one_or_none()


async def held(tx: Transaction, packet_id: UUID, fence: int) -> Packet | None:
    """A packet that is still this worker's, locked; None: another has taken over."""
    query = select(Packet).where(Packet.id == packet_id, Packet.fence == fence)
    return (await tx.execute(query.with_for_update())).scalar_one_or_none()


async def beat(tx: Transaction, packet_id: UUID, fence: int, until: datetime, done: tuple[int, int]) -> bool:
    """Say how far a build is (`done`, of all), and hold it for longer; False: another has taken over."""
    change = update(Packet).where(Packet.id == packet_id, Packet.fence == fence)
    told = change.values(lease_until=until, done=done[0], of_all=done[1]).returning(Packet.id)
    return (await tx.execute(told)).scalar_one_or_none() is not None


async def litter(tx: Transaction) -> Sequence[UUID]:
    """Packets that are no more, of which there may be files."""
    query = select(Packet.id).where(Packet.state.in_((State.EXPIRED, State.FAILED)), Packet.stored)
    return (await tx.execute(query.order_by(Packet.id))).scalars().all()


async def cleared(tx: Transaction, packet_ids: Collection[UUID]) -> None:
    """There are no files of these any more."""
    await tx.execute(update(Packet).where(Packet.id.in_(packet_ids)).values(stored=False))


async def any_live(tx: Transaction, organization_ids: Collection[UUID]) -> bool:
    """Whether these organizations have any packet with content."""
    query = select(Packet.id).where(Packet.state.in_((State.BUILDING, State.READY)), Packet.organization_id.in_(organization_ids))
    return (await tx.execute(query.limit(1))).first() is not None


def _live() -> Any:
    return select(Packet).where(Packet.state.in_((State.BUILDING, State.READY))).order_by(Packet.id).with_for_update()


async def live_with_member(tx: Transaction, member_id: UUID) -> Sequence[Packet]:
    """The packets with content that hold a member's data, locked."""
    theirs = select(PacketMember.packet_id).where(PacketMember.member_id == member_id)
    found: Sequence[Packet] = (await tx.execute(_live().where(Packet.id.in_(theirs)))).scalars().all()
    return found


async def live_with_exhibit(tx: Transaction, organization_id: UUID, exhibit: str) -> Sequence[Packet]:
    """The packets with content of matters in which something is an exhibit, locked."""
    numbered = exists().where(BatesNumber.matter_id == Packet.matter_id, BatesNumber.exhibit == exhibit)
    query = _live().where(Packet.organization_id == organization_id, numbered)
    found: Sequence[Packet] = (await tx.execute(query)).scalars().all()
    return found


async def all_ready(tx: Transaction) -> Sequence[Packet]:
    """The packets that can be downloaded, locked."""
    query = select(Packet).where(Packet.state == State.READY).order_by(Packet.id)
    return (await tx.execute(query.with_for_update())).scalars().all()


async def forget_drafts(tx: Transaction, before: datetime) -> dict[UUID, int]:
    """Delete what was asked for before a moment and never ordered; how many, by organization."""
    drafts = delete(Packet).where(Packet.state.in_((State.LOOKING, State.SHOWN)), Packet.asked_at < before)
    gone = (await tx.execute(drafts.returning(Packet.organization_id))).scalars().all()
    return {one: gone.count(one) for one in set(gone)}
