"""All SQL of links. Every query is scoped by organization, and by member but for counsel's list."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, delete, or_, select

from app.breaches.models import Breach
from app.kit.database import Transaction
from app.kit.rows import among, chosen, insert_rows, update_rows
from app.linkage.models import Link


class PresentLink(NamedTuple):
    """A present link without its finding."""

    member_id: UUID
    id: UUID
    incident_id: UUID
    breach_id: UUID
    based_on: bytes | None


async def present(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> list[PresentLink]:
    """Some members' present links."""
    query = _present(organization_id).where(among(tx, Link.member_id, member_ids))
    return [PresentLink._make(row) for row in (await tx.execute(query)).all()]


async def present_of(tx: Transaction, organization_id: UUID, incidents: Collection[tuple[UUID, UUID]]) -> list[PresentLink]:
    """The present links of some incidents, `(member, incident)`."""
    rows = await chosen(tx, _present(organization_id), (Link.member_id, Link.incident_id), incidents)
    return [PresentLink._make(row) for row in rows]


def _present(organization_id: UUID) -> Select[*tuple[Any, ...]]:
    columns: list[Any] = [getattr(Link, name) for name in PresentLink._fields]
    return select(*columns).where(Link.organization_id == organization_id, Link.superseded_at.is_(None)).order_by(Link.id)


async def findings_of(tx: Transaction, links: Collection[PresentLink]) -> dict[UUID, tuple[str, dict[str, Any]]]:
    """The rules' version and the finding of some links, by link."""
    if not links:
        return {}
    query, keys = select(Link.id, Link.rules_version, Link.finding), [(link.member_id, link.id) for link in links]
    return {row[0]: (row[1], row[2]) for row in await chosen(tx, query, (Link.member_id, Link.id), keys)}


async def rebase(tx: Transaction, links: Sequence[tuple[PresentLink, bytes]]) -> None:
    """Write down what links that stay are based on now."""
    await update_rows(tx, Link, [{"member_id": link.member_id, "id": link.id, "based_on": basis} for link, basis in links])


async def supersede(tx: Transaction, links: Sequence[PresentLink], now: datetime) -> None:
    """Stamp links as no longer the present ones; the rows stay."""
    await update_rows(tx, Link, [{"member_id": link.member_id, "id": link.id, "superseded_at": now} for link in links])


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
