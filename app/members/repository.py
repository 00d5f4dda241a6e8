"""All SQL of members: roster rows, employment, enrollments, consents, holds."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update

from app.kit.database import Transaction
from app.kit.rows import among
from app.members.models import Consent, Employment, Enrollment, LegalHold, Member, Organization


async def organization(tx: Transaction, organization_id: UUID) -> Organization | None:
    """One organization."""
    return await tx.get(Organization, organization_id)


async def organizations(tx: Transaction) -> Sequence[Organization]:
    """Every organization, oldest first."""
    return (await tx.execute(select(Organization).order_by(Organization.id))).scalars().all()


async def by_external(tx: Transaction, organization_id: UUID, indexes: Sequence[bytes]) -> Member | None:
    """The member behind the organization's own number, given in every version of its index."""
    query = select(Member).where(Member.organization_id == organization_id, Member.external_index.in_(indexes))
    return (await tx.execute(query)).scalar_one_or_none()


async def member(tx: Transaction, organization_id: UUID, member_id: UUID, *, lock: bool = False) -> Member | None:
    """One member of one organization."""
    query = select(Member).where(Member.organization_id == organization_id, Member.id == member_id)
    return (await tx.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def members_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Member]:
    """The next members of an organization by id."""
    query = select(Member).where(Member.organization_id == organization_id, Member.id > after)
    return (await tx.execute(query.order_by(Member.id).limit(limit))).scalars().all()


async def member_ids(tx: Transaction, organization_id: UUID) -> Sequence[UUID]:
    """Ids of every member who is not erased."""
    query = select(Member.id).where(Member.organization_id == organization_id, Member.erased_at.is_(None))
    return (await tx.execute(query.order_by(Member.id))).scalars().all()


async def employment(tx: Transaction, member_id: UUID) -> Sequence[Employment]:
    """A member's employment intervals, earliest first."""
    query = select(Employment).where(Employment.member_id == member_id).order_by(Employment.started_on)
    return (await tx.execute(query)).scalars().all()


async def replace_employment(tx: Transaction, member_id: UUID, jobs: Sequence[tuple[date, date | None]]) -> None:
    """Set a member's employment to what the roster now says."""
    await tx.execute(delete(Employment).where(Employment.member_id == member_id))
    tx.add_all(Employment(member_id=member_id, started_on=start, ended_on=end) for start, end in jobs)
    await tx.flush()


async def enrollments_of(
    tx: Transaction, organization_id: UUID, connection_id: UUID, reference_index: bytes
) -> Sequence[Enrollment]:
    """Who is behind a provider's reference on one connection now; two rows mean two members claim it."""
    query = select(Enrollment).where(
        Enrollment.organization_id == organization_id,
        Enrollment.connection_id == connection_id,
        Enrollment.reference_index == reference_index,
        Enrollment.ended_at.is_(None),
    )
    return (await tx.execute(query.order_by(Enrollment.id).limit(2))).scalars().all()


async def enrollments_behind(
    tx: Transaction, references: Collection[tuple[UUID, bytes]], *, ever: bool = False
) -> Sequence[Enrollment]:
    """Who is behind some references now, `(connection, blind index)`, by age of enrollment. `ever`: or was once."""
    query = select(Enrollment).where(
        among(tx, Enrollment.connection_id, {reference[0] for reference in references}),
        among(tx, Enrollment.reference_index, {reference[1] for reference in references}),
    )
    if not ever:
        query = query.where(Enrollment.ended_at.is_(None))
    return (await tx.execute(query.order_by(Enrollment.id))).scalars().all()


class LockedMember(NamedTuple):
    """What a batch needs of a member: whose they are, their key, and whether they are still there."""

    id: UUID
    organization_id: UUID
    wrapped_key: bytes | None
    erased_at: datetime | None


async def lock_members(tx: Transaction, member_ids: Collection[UUID]) -> dict[UUID, LockedMember]:
    """These members' rows as they are now, locked in the order of their ids, so that two batches never wait for each other.

    Rows about them may be written by whoever does not need the lock.
    """
    query = select(Member.id, Member.organization_id, Member.wrapped_key, Member.erased_at)
    ordered = query.where(among(tx, Member.id, member_ids)).order_by(Member.id)
    locked = ordered.with_for_update(key_share=True)
    return {row[0]: LockedMember._make(row) for row in (await tx.execute(locked)).all()}


async def enrolled_on(
    tx: Transaction, organization_id: UUID, connection_id: UUID, indexes: Collection[bytes] | None
) -> Sequence[tuple[Enrollment, Member]]:
    """The enrollments of one connection that are still on, with their members; of these references only, when given."""
    query = (
        select(Enrollment, Member)
        .join(Member, Member.id == Enrollment.member_id)
        .where(
            Enrollment.organization_id == organization_id,
            Enrollment.connection_id == connection_id,
            Enrollment.ended_at.is_(None),
        )
        .order_by(Enrollment.id)
    )
    if indexes is not None:
        query = query.where(Enrollment.reference_index.in_(indexes))
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def last_consents(tx: Transaction, connection_id: UUID, member_ids: Collection[UUID]) -> dict[UUID, Consent]:
    """Each member's latest answer for one connection, by member."""
    query = select(Consent).where(Consent.connection_id == connection_id, among(tx, Consent.member_id, member_ids))
    return {row.member_id: row for row in (await tx.execute(query.order_by(Consent.id))).scalars()}


async def last_consents_of(tx: Transaction, wanted: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Consent]:
    """Members' latest answers, by `(member, connection)`."""
    query = select(Consent).where(
        among(tx, Consent.member_id, {one[0] for one in wanted}), among(tx, Consent.connection_id, {one[1] for one in wanted})
    )
    return {(row.member_id, row.connection_id): row for row in (await tx.execute(query.order_by(Consent.id))).scalars()}


async def enrollments_of_member(tx: Transaction, member_id: UUID) -> Sequence[Enrollment]:
    """A member's enrollments that are still on."""
    query = select(Enrollment).where(Enrollment.member_id == member_id, Enrollment.ended_at.is_(None))
    return (await tx.execute(query.order_by(Enrollment.id))).scalars().all()


async def enrollments_ever(tx: Transaction, member_id: UUID, connection_id: UUID) -> Sequence[Enrollment]:
    """Every enrollment that a member has or had on a connection, newest first."""
    query = select(Enrollment).where(Enrollment.member_id == member_id, Enrollment.connection_id == connection_id)
    return (await tx.execute(query.order_by(Enrollment.id.desc()))).scalars().all()


async def enrolled_count(tx: Transaction, organization_id: UUID, connection_id: UUID) -> int:
    """How many members are enrolled on a connection now."""
    query = select(func.count(Enrollment.member_id.distinct())).where(
        Enrollment.organization_id == organization_id,
        Enrollment.connection_id == connection_id,
        Enrollment.ended_at.is_(None),
    )
    return (await tx.execute(query)).scalar_one()


async def enrolled_after(
    tx: Transaction, organization_id: UUID, connection_id: UUID, after: UUID, limit: int
) -> Sequence[Enrollment]:
    """The next enrollments on a connection that are still on, by id."""
    query = select(Enrollment).where(
        Enrollment.organization_id == organization_id,
        Enrollment.connection_id == connection_id,
        Enrollment.id > after,
        Enrollment.ended_at.is_(None),
    )
    return (await tx.execute(query.order_by(Enrollment.id).limit(limit))).scalars().all()


async def references_of(tx: Transaction, member_id: UUID) -> Sequence[tuple[UUID, bytes]]:
    """Every reference that was ever a member's: `(connection, blind index)`."""
    query = select(Enrollment.connection_id, Enrollment.reference_index).where(Enrollment.member_id == member_id)
    return [(row[0], row[1]) for row in (await tx.execute(query.order_by(Enrollment.id))).all()]


async def last_consent(tx: Transaction, member_id: UUID, connection_id: UUID) -> Consent | None:
    """The member's latest answer for one connection."""
    query = select(Consent).where(Consent.member_id == member_id, Consent.connection_id == connection_id)
    return (await tx.execute(query.order_by(Consent.id.desc()).limit(1))).scalar_one_or_none()


async def holds(tx: Transaction, organization_id: UUID) -> Sequence[LegalHold]:
    """Every hold that is on."""
    query = select(LegalHold).where(LegalHold.organization_id == organization_id, LegalHold.released_at.is_(None))
    return (await tx.execute(query.order_by(LegalHold.id))).scalars().all()


async def is_held(tx: Transaction, organization_id: UUID, member_id: UUID) -> bool:
    """Whether a legal hold covers this member."""
    query = select(LegalHold.id).where(
        LegalHold.organization_id == organization_id,
        LegalHold.released_at.is_(None),
        or_(LegalHold.member_id == member_id, LegalHold.member_id.is_(None)),
    )
    return (await tx.execute(query.limit(1))).first() is not None


async def take_back(tx: Transaction, member_id: UUID, connection_id: UUID, reference_index: bytes) -> bool:
    """Undo what a caseworker said: that a reference is a member's. False for one that a provider or an admin named."""
    given = delete(Enrollment).where(
        Enrollment.member_id == member_id,
        Enrollment.connection_id == connection_id,
        Enrollment.reference_index == reference_index,
        Enrollment.reference_sealed.is_(None),
    )
    return (await tx.execute(given.returning(Enrollment.id))).first() is not None


async def held_references(tx: Transaction, organization_id: UUID, connection_id: UUID) -> frozenset[bytes] | None:
    """The references of one connection whose members a legal hold covers; None: it covers everybody."""
    on = (LegalHold.organization_id == organization_id, LegalHold.released_at.is_(None))
    everybody = select(LegalHold.id).where(*on, LegalHold.member_id.is_(None)).limit(1)
    if (await tx.execute(everybody)).first() is not None:
        return None
    same = (Enrollment.member_id == LegalHold.member_id) & (Enrollment.connection_id == connection_id)
    held = select(Enrollment.reference_index).join(LegalHold, same).where(*on)
    return frozenset((await tx.execute(held)).scalars())


async def forget(tx: Transaction, member_id: UUID, now: datetime) -> None:
    """Destroy a member's key, sealed fields, indexes and employment; the bare row stays, so that ids keep their meaning."""
    gone = {"wrapped_key": None, "sealed": None, "external_index": None, "erased_at": now, "updated_at": now}
    await tx.execute(update(Member).where(Member.id == member_id).values(**gone))
    await tx.execute(delete(Employment).where(Employment.member_id == member_id))
    await tx.execute(delete(Enrollment).where(Enrollment.member_id == member_id))


async def lock_organization(tx: Transaction, organization_id: UUID) -> None:
    """Hold an organization for this transaction, for what only one may do at a time."""
    await tx.execute(select(Organization.id).where(Organization.id == organization_id).with_for_update())
