"""All SQL of links. Every query is scoped by organization, and by member but for counsel's list."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, or_, select

from app.breaches.models import Breach
from app.kit.database import Transaction
from app.kit.rows import among, insert_rows, update_rows
from app.linkage.models import Link


async def present(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> dict[UUID, list[Link]]:
    """Some members' present links, by member."""
    query = select(Link).where(
        among(tx, Link.member_id, member_ids), Link.organization_id == organization_id, Link.superseded_at.is_(None)
    )
    found: dict[UUID, list[Link]] = {}
    for row in (await tx.execute(query.order_by(Link.id))).scalars():
        found.setdefault(row.member_id, []).append(row)
    return found


async def supersede(tx: Transaction, links: Sequence[tuple[UUID, UUID]], now: datetime) -> None:
    """Stamp links, `(member, id)`, as no longer the present ones; the rows stay."""
    await update_rows(tx, Link, [{"member_id": link[0], "id": link[1], "superseded_at": now} for link in links])


async def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Write new links."""
    await insert_rows(tx, Link, rows)


async def forget(tx: Transaction, organization_id: UUID, member_id: UUID) -> None:
    """Delete every link of one member, present and past."""
    await tx.execute(delete(Link).where(Link.organization_id == organization_id, Link.member_id == member_id))


async def present_with_breach(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Sequence[UUID]
) -> Sequence[tuple[Link, Breach]]:
    """The present links of some of a member's incidents with their breaches, the focal breach first."""
    query = (
        select(Link, Breach)
        .join(Breach, and_(Breach.id == Link.breach_id, Breach.organization_id == Link.organization_id))
        .where(
            Link.organization_id == organization_id,
            Link.member_id == member_id,
            Link.incident_id.in_(incident_ids),
            Link.superseded_at.is_(None),
        )
        .order_by(Link.incident_id, Breach.focal.desc(), Breach.id)
    )
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def incidents_of_breach(
    tx: Transaction, organization_id: UUID, breach_id: UUID, after: tuple[UUID, UUID] | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """The next (member id, incident id) with a present link to a breach, in the order of these two ids."""
    query = select(Link.member_id, Link.incident_id).where(
        Link.organization_id == organization_id, Link.breach_id == breach_id, Link.superseded_at.is_(None)
    )
    if after is not None:
        same_member = and_(Link.member_id == after[0], Link.incident_id > after[1])
        query = query.where(or_(Link.member_id > after[0], same_member))
    rows = (await tx.execute(query.order_by(Link.member_id, Link.incident_id).limit(limit))).all()
    return [(row[0], row[1]) for row in rows]
