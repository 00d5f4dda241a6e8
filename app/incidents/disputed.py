"""What of incidents is disputed: somebody else may have sent it in the provider's name. Read each time, kept nowhere."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select

from app.connections.repository import is_disputed
from app.incidents.models import Incident, IncidentAlert, MemberEvent
from app.kit.database import Transaction

_DISPUTED = is_disputed(MemberEvent.connection_id, MemberEvent.received_at)


async def disputed_events(tx: Transaction, member_id: UUID) -> frozenset[UUID]:
    """The ids of a member's events that a mark is over."""
    query = select(MemberEvent.event_id).where(MemberEvent.member_id == member_id, _DISPUTED)
    return frozenset((await tx.execute(query)).scalars())


def rests_on_disputed(events: Sequence[MemberEvent], disputed: Collection[UUID]) -> bool:
    """Whether nothing of an incident, or of an alert, is left without what is disputed.

    Something that was told again at another time, or by another service, is not: whoever told it then stands for it.
    """
    return bool(events) and all(event.event_id in disputed for event in events)


async def disputed_incidents(tx: Transaction, organization_id: UUID) -> frozenset[tuple[UUID, UUID]]:
    """The incidents of an organization, `(member, id)`, of which `rests_on_disputed` holds."""
    same_alert = (IncidentAlert.member_id == MemberEvent.member_id) & (IncidentAlert.alert_id == MemberEvent.alert_id)
    same_incident = (Incident.member_id == IncidentAlert.member_id) & (Incident.id == IncidentAlert.incident_id)
    told = (
        select(Incident.member_id, Incident.id)
        .join(IncidentAlert, same_incident)
        .join(MemberEvent, same_alert)
        .where(Incident.organization_id == organization_id)
    )
    if (await tx.execute(told.where(_DISPUTED).limit(1))).first() is None:
        return frozenset()
    rows = await tx.execute(told.where(_DISPUTED).except_(told.where(~_DISPUTED)))
    return frozenset((row[0], row[1]) for row in rows)
