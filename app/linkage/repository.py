"""All SQL of links. Every query is scoped by organization, and by member but for counsel's list."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, delete, or_, select

from app.breaches.models import Breach
from app.incidents.models import Incident, IncidentAlert, MemberEvent
from app.kit.database import Transaction
from app.kit.rows import among, chosen, insert_rows, update_rows
from app.linkage.findings import AlertView, IncidentView
from app.linkage.models import Link, SharedFinding
from connectors.contract import Interval
from connectors.vocabulary import AlertKind


class PresentLink(NamedTuple):
    """A present link without its finding."""

    member_id: UUID
    id: UUID
    incident_id: UUID
    breach_id: UUID
    based_on: bytes | None


_VIEW = (
    select(
        Incident.member_id,
        Incident.id,
        Incident.occurred_earliest,
        Incident.occurred_latest,
        Incident.first_received_at,
        MemberEvent.alert_id,
        MemberEvent.kind,
        MemberEvent.product,
    )
    .join(IncidentAlert, and_(IncidentAlert.member_id == Incident.member_id, IncidentAlert.incident_id == Incident.id))
    .outerjoin(MemberEvent, and_(MemberEvent.member_id == Incident.member_id, MemberEvent.alert_id == IncidentAlert.alert_id))
    .where(Incident.redirect_to.is_(None))
    .order_by(MemberEvent.received_at, MemberEvent.event_id)
)
"""Incidents with what their alerts say. One statement, so that an incident is seen as it is at one moment, without any lock.

The outer join says in which order to look: else SQLite reads all events of the member before it asks which are the incident's.
It would read all incidents of the member, too, were they to come in their order.
"""


async def incidents_of_members(tx: Transaction, member_ids: Collection[UUID]) -> dict[UUID, list[IncidentView]]:
    """All present incidents of some members, by member, as a link needs them."""
    if not member_ids:
        return {}
    return _views((await tx.execute(_VIEW.where(among(tx, Incident.member_id, member_ids)))).all())


async def incidents_named(tx: Transaction, incidents: Collection[tuple[UUID, UUID]]) -> dict[UUID, list[IncidentView]]:
    """Those of some incidents, `(member, incident)`, that are present ones."""
    return _views(await chosen(tx, _VIEW, (Incident.member_id, Incident.id), incidents))


@lru_cache(maxsize=8192)
def _interval(earliest: datetime | None, latest: datetime | None) -> Interval:
    return Interval(earliest=earliest, latest=latest)


def _views(rows: Iterable[Any]) -> dict[UUID, list[IncidentView]]:
    """Of an alert with several versions the last one received counts."""
    incidents: dict[tuple[UUID, UUID], tuple[Interval, datetime, dict[UUID, AlertView]]] = {}
    for member_id, incident_id, earliest, latest, received_at, alert_id, kind, product in rows:
        if alert_id is None:
            continue  # an alert of which nothing is said
        place = member_id, incident_id
        if place not in incidents:
            incidents[place] = _interval(earliest, latest), received_at, {}
        incidents[place][2][alert_id] = AlertView(alert_id, AlertKind(kind), AlertKind(product) if product else None)
    found: dict[UUID, list[IncidentView]] = {}
    for (member_id, incident_id), (claimed, received_at, alerts) in sorted(incidents.items(), key=itemgetter(0)):
        view = IncidentView(incident_id, tuple(alerts[one] for one in sorted(alerts)), claimed, received_at)
        found.setdefault(member_id, []).append(view)
    return found


async def present(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> list[PresentLink]:
    """Some members' present links."""
    if not member_ids:
        return []
    query = _present(organization_id).where(among(tx, Link.member_id, member_ids))
    return [PresentLink._make(row) for row in (await tx.execute(query)).all()]


async def present_of(tx: Transaction, organization_id: UUID, incidents: Collection[tuple[UUID, UUID]]) -> list[PresentLink]:
    """The present links of some incidents, `(member, incident)`."""
    rows = await chosen(tx, _present(organization_id), (Link.member_id, Link.incident_id), incidents)
    return [PresentLink._make(row) for row in rows]


def _present(organization_id: UUID) -> Select[*tuple[Any, ...]]:
    columns: list[Any] = [getattr(Link, name) for name in PresentLink._fields]
    return select(*columns).where(Link.organization_id == organization_id, Link.superseded_at.is_(None)).order_by(Link.id)


async def found_by_others(tx: Transaction, rules: str, after: UUID, limit: int) -> list[tuple[UUID, UUID]]:
    """The next members with a present link that was found by other rules than these: `(organization, member)`."""
    query = select(Link.organization_id, Link.member_id).where(
        Link.superseded_at.is_(None), Link.rules_version != rules, Link.member_id > after
    )
    rows = (await tx.execute(query.distinct().order_by(Link.member_id).limit(limit))).all()
    return [(row[0], row[1]) for row in rows]


async def findings_of(tx: Transaction, links: Collection[PresentLink]) -> dict[UUID, tuple[str, bytes, dict[str, Any]]]:
    """The rules' version of some links, the hash of what their findings share, and what is their own, by link."""
    if not links:
        return {}
    query = select(Link.id, Link.rules_version, Link.shared_sha256, Link.own)
    keys = [(link.member_id, link.id) for link in links]
    return {row[0]: (row[1], row[2], row[3]) for row in await chosen(tx, query, (Link.member_id, Link.id), keys)}


async def rebase(tx: Transaction, links: Sequence[tuple[PresentLink, bytes]]) -> None:
    """Write down what links that stay are based on now."""
    await update_rows(tx, Link, [{"member_id": link.member_id, "id": link.id, "based_on": basis} for link, basis in links])


async def supersede(tx: Transaction, links: Sequence[PresentLink], now: datetime) -> None:
    """Stamp links as no longer the present ones; the rows stay."""
    await update_rows(tx, Link, [{"member_id": link.member_id, "id": link.id, "superseded_at": now} for link in links])


async def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Write new links."""
    await insert_rows(tx, Link, rows)


async def shared_there(tx: Transaction, organization_id: UUID, hashes: Collection[bytes]) -> set[bytes]:
    """Which of some shared parts are kept already."""
    query = select(SharedFinding.sha256).where(
        SharedFinding.organization_id == organization_id, among(tx, SharedFinding.sha256, hashes)
    )
    return set((await tx.execute(query)).scalars())


async def keep_shared(tx: Transaction, organization_id: UUID, parts: Mapping[bytes, dict[str, Any]]) -> None:
    """Keep shared parts, by their hashes. Who keeps the same at the same moment does so in the same order, and waits."""
    rows = [{"organization_id": organization_id, "sha256": one, "said": parts[one]} for one in sorted(parts)]
    await insert_rows(tx, SharedFinding, rows, unless_there=True)


async def forget(tx: Transaction, organization_id: UUID, member_id: UUID) -> None:
    """Delete every link of one member, present and past."""
    await tx.execute(delete(Link).where(Link.organization_id == organization_id, Link.member_id == member_id))


async def present_with_breach(
    tx: Transaction, organization_id: UUID, member_id: UUID, incident_ids: Sequence[UUID]
) -> Sequence[tuple[Link, dict[str, Any] | None, Breach]]:
    """The present links of some of a member's incidents, what their findings share, their breaches; the focal breach first.

    Of a link whose shared part is not there, which must not be, that is None.
    """
    said = and_(SharedFinding.organization_id == Link.organization_id, SharedFinding.sha256 == Link.shared_sha256)
    query = (
        select(Link, SharedFinding.said, Breach)
        .outerjoin(SharedFinding, said)
        .join(Breach, and_(Breach.id == Link.breach_id, Breach.organization_id == Link.organization_id))
        .where(
            Link.organization_id == organization_id,
            Link.member_id == member_id,
            Link.incident_id.in_(incident_ids),
            Link.superseded_at.is_(None),
        )
        .order_by(Link.incident_id, Breach.focal.desc(), Breach.id)
    )
    return [(row[0], row[1], row[2]) for row in (await tx.execute(query)).all()]


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
