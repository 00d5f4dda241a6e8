"""What only says that there is something, what tells more of it, and how much a member reports. SQL, and one pure rule."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import func, select

from app.incidents.models import MemberEvent
from app.incidents.repository import MembersOwn
from app.kit.database import Transaction
from app.kit.rows import chosen


class Told(Protocol):
    """What of an event decides whether more is wanted."""

    @property
    def alert_id(self) -> UUID:
        """Whose version it is."""

    @property
    def details_requested(self) -> bool:
        """Whether it says only that there is something."""

    @property
    def completes(self) -> UUID | None:
        """The alert that it tells more of."""


class EventSaid(NamedTuple):
    """These facts alone."""

    alert_id: UUID
    details_requested: bool
    completes: UUID | None


def wanting(events: Sequence[Told]) -> list[UUID]:
    """Of an incident's events, the alerts that only say that there is something, and that nothing tells more of; by age.

    One of which any version says more is told.
    """
    told = {event.alert_id for event in events if not event.details_requested}
    told |= {event.completes for event in events if event.completes is not None and event.completes != event.alert_id}
    return sorted({event.alert_id for event in events} - told)


async def alerts_completing(tx: Transaction, alerts: Collection[MembersOwn]) -> set[MembersOwn]:
    """The alerts of members that tell more of some of theirs, in any of their versions."""
    query = select(MemberEvent.member_id, MemberEvent.alert_id)
    query = query.where(MemberEvent.completes.is_not(None))  # as the index has it, or SQLite reads all that the member has
    rows = await chosen(tx, query, (MemberEvent.member_id, MemberEvent.completes), alerts)
    return {(row[0], row[1]) for row in rows}


async def events_since(tx: Transaction, member_id: UUID, connection_id: UUID, since: datetime) -> int:
    """How many events of a member came over a connection since then."""
    query = select(func.count()).select_from(MemberEvent)
    query = query.where(
        MemberEvent.member_id == member_id, MemberEvent.connection_id == connection_id, MemberEvent.received_at > since
    )
    return (await tx.execute(query)).scalar_one()
