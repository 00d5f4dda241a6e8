"""All SQL of breaches: breaches, evidence, exposures, matters. Every query is scoped by organization."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Text, cast, delete, exists, func, select

from app.breaches.models import Breach, ExposureRow, Matter, MatterCounsel, MemberEvidence
from app.kit.database import Transaction
from app.kit.rows import among, on_postgresql
from app.members.models import Employment, Member


async def breaches(tx: Transaction, organization_id: UUID) -> Sequence[Breach]:
    """Every breach of an organization, the focal ones first, then oldest first."""
    query = select(Breach).where(Breach.organization_id == organization_id)
    return (await tx.execute(query.order_by(Breach.focal.desc(), Breach.id))).scalars().all()


async def breach_by_key(tx: Transaction, organization_id: UUID, key: str) -> Breach | None:
    """One breach by its own name in the catalogue."""
    query = select(Breach).where(Breach.organization_id == organization_id, Breach.key == key)
    return (await tx.execute(query)).scalar_one_or_none()


async def lock_members(tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID]) -> Sequence[Member]:
    """These members' rows, locked in the order of their ids, so that two recomputations never wait for each other."""
    query = select(Member).where(Member.organization_id == organization_id, among(tx, Member.id, member_ids))
    fresh = query.order_by(Member.id).with_for_update().execution_options(populate_existing=True)
    return (await tx.execute(fresh)).scalars().all()


async def employment(tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID]) -> Sequence[Employment]:
    """Every employment interval of these members, earliest first."""
    query = (
        select(Employment)
        .join(Member, Member.id == Employment.member_id)
        .where(Member.organization_id == organization_id, Employment.member_id.in_(member_ids))
    )
    return (await tx.execute(query.order_by(Employment.member_id, Employment.started_on))).scalars().all()


async def evidence(tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID]) -> Sequence[MemberEvidence]:
    """Everything that names one of these members, oldest first."""
    query = (
        select(MemberEvidence)
        .join(Breach, Breach.id == MemberEvidence.breach_id)
        .where(Breach.organization_id == organization_id, among(tx, MemberEvidence.member_id, member_ids))
    )
    return (await tx.execute(query.order_by(MemberEvidence.member_id, MemberEvidence.id))).scalars().all()


async def named_in(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> Sequence[tuple[UUID, UUID]]:
    """In which breaches something names these members: `(member, breach)`."""
    query = (
        select(MemberEvidence.member_id, MemberEvidence.breach_id)
        .join(Breach, Breach.id == MemberEvidence.breach_id)
        .where(Breach.organization_id == organization_id, among(tx, MemberEvidence.member_id, member_ids))
    )
    return [(row[0], row[1]) for row in (await tx.execute(query.distinct())).all()]


async def waves_in_evidence(tx: Transaction, organization_id: UUID, breach_id: UUID) -> set[str]:
    """The waves of a breach that some member's evidence names."""
    query = (
        select(MemberEvidence.wave)
        .join(Breach, Breach.id == MemberEvidence.breach_id)
        .where(Breach.organization_id == organization_id, MemberEvidence.breach_id == breach_id)
    )
    return set((await tx.execute(query.distinct())).scalars())


async def members_in_evidence(tx: Transaction, organization_id: UUID, keys: Collection[str]) -> Sequence[UUID]:
    """The members whom something names in one of these breaches, by the breaches' own names."""
    query = (
        select(MemberEvidence.member_id)
        .join(Breach, Breach.id == MemberEvidence.breach_id)
        .where(Breach.organization_id == organization_id, Breach.key.in_(keys))
    )
    return (await tx.execute(query.distinct().order_by(MemberEvidence.member_id))).scalars().all()


async def exposures(tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID]) -> Sequence[ExposureRow]:
    """The exposure rows of these members, in a fixed order."""
    query = (
        select(ExposureRow)
        .join(Breach, Breach.id == ExposureRow.breach_id)
        .where(Breach.organization_id == organization_id, among(tx, ExposureRow.member_id, member_ids))
        .order_by(ExposureRow.member_id, ExposureRow.breach_id, ExposureRow.wave, ExposureRow.element)
    )
    return (await tx.execute(query)).scalars().all()


async def exposures_told(
    tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]
) -> Sequence[tuple[UUID, UUID, str]]:
    """What each breach exposed of these members: member, breach, and what all rows of both say, as JSON.

    It is a list, in no order, of lists (wave, element, basis, status, mark, reference). A member has dozens of such rows, and
    the same few say the same of thousands of members: so they are read as one text, that is understood once.
    """
    each, all_of = ("json_build_array", "json_agg") if on_postgresql(tx) else ("json_array", "json_group_array")
    said = [ExposureRow.wave, ExposureRow.element, ExposureRow.basis, ExposureRow.status, ExposureRow.mark, ExposureRow.reference]
    told = cast(getattr(func, all_of)(getattr(func, each)(*said)), Text)
    query = (
        select(ExposureRow.member_id, ExposureRow.breach_id, told)
        .join(Breach, Breach.id == ExposureRow.breach_id)
        .where(Breach.organization_id == organization_id, among(tx, ExposureRow.member_id, member_ids))
        .group_by(ExposureRow.member_id, ExposureRow.breach_id)
    )
    return [(row[0], row[1], row[2]) for row in (await tx.execute(query)).all()]


async def forget(tx: Transaction, organization_id: UUID, member_ids: Sequence[UUID]) -> None:
    """Delete evidence and exposures of these members."""
    own = select(Member.id).where(Member.organization_id == organization_id, Member.id.in_(member_ids))
    await tx.execute(delete(MemberEvidence).where(MemberEvidence.member_id.in_(own)))
    await tx.execute(delete(ExposureRow).where(ExposureRow.member_id.in_(own)))


async def exposed_members(tx: Transaction, organization_id: UUID) -> dict[tuple[UUID, str], int]:
    """How many members have an exposure of a status, by breach id and status; one member may stand under several."""
    query = (
        select(ExposureRow.breach_id, ExposureRow.status, func.count(func.distinct(ExposureRow.member_id)))
        .join(Breach, Breach.id == ExposureRow.breach_id)
        .where(Breach.organization_id == organization_id)
        .group_by(ExposureRow.breach_id, ExposureRow.status)
    )
    return {(row[0], row[1]): row[2] for row in (await tx.execute(query)).all()}


async def matter(tx: Transaction, organization_id: UUID, matter_id: UUID) -> Matter | None:
    """One matter, whoever is assigned to it."""
    query = select(Matter).where(Matter.organization_id == organization_id, Matter.id == matter_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def matters_of(tx: Transaction, organization_id: UUID, account_id: UUID) -> Sequence[tuple[Matter, Breach]]:
    """The matters that one counsel is assigned to, each with its breach, oldest first."""
    query = (
        select(Matter, Breach)
        .join(MatterCounsel, MatterCounsel.matter_id == Matter.id)
        .join(Breach, Breach.id == Matter.breach_id)
        .where(Matter.organization_id == organization_id, MatterCounsel.account_id == account_id)
        .order_by(Matter.id)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def counsel_of(tx: Transaction, matter_id: UUID) -> Sequence[UUID]:
    """The accounts of all counsel who are assigned to a matter."""
    query = select(MatterCounsel.account_id).where(MatterCounsel.matter_id == matter_id).order_by(MatterCounsel.account_id)
    return (await tx.execute(query)).scalars().all()


async def of_organization(tx: Transaction, organization_id: UUID) -> Sequence[tuple[Matter, Breach]]:
    """Every matter of an organization with its breach, oldest first."""
    query = select(Matter, Breach).join(Breach, Breach.id == Matter.breach_id)
    found = (await tx.execute(query.where(Matter.organization_id == organization_id).order_by(Matter.id))).all()
    return [(row[0], row[1]) for row in found]


async def in_a_matter(tx: Transaction, organization_id: UUID, account_id: UUID, member_id: UUID) -> bool:
    """Whether a matter of this counsel is over a breach that exposed data of this member, or in which something names them."""
    exposed = exists().where(ExposureRow.breach_id == Matter.breach_id, ExposureRow.member_id == member_id)
    named = exists().where(MemberEvidence.breach_id == Matter.breach_id, MemberEvidence.member_id == member_id)
    query = (
        select(Matter.id)
        .join(MatterCounsel, MatterCounsel.matter_id == Matter.id)
        .where(Matter.organization_id == organization_id, MatterCounsel.account_id == account_id, exposed | named)
    )
    return (await tx.execute(query.limit(1))).first() is not None
