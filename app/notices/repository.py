"""All SQL of notices: who was told of what, and the alarms."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update

from app.access.models import Account, RoleGrant
from app.access.roles import Role
from app.connections.models import Connection
from app.incidents.details import EventSaid, wanting
from app.incidents.models import Incident, IncidentAlert, MemberEvent
from app.kit.database import Transaction, upsert
from app.kit.letters import Letter, LetterState
from app.kit.outbox import Failure, Message
from app.kit.rows import among, chosen, insert_missing
from app.members.models import Organization
from app.notices.conditions import Condition
from app.notices.models import Alarm, AlarmKind, ConsentRequest, MemberNotice
from app.watch.canary import ORGANIZATION as CANARY


class Untold(NamedTuple):
    """An incident that its member is to be told of, named as in the table."""

    member_id: UUID
    id: UUID
    organization_id: UUID
    first_received_at: datetime


async def untold_incidents(
    tx: Transaction, member_ids: Collection[UUID], named: Collection[tuple[UUID, UUID]] = ()
) -> Sequence[Untold]:
    """Incidents of some members, and some that are `named` (member, incident), of which nobody was told, oldest first.

    They stand for themselves: one that was merged into another is none to be told of.
    """
    told = (MemberNotice.member_id == Incident.member_id) & (MemberNotice.incident_id == Incident.id)
    columns: list[Any] = [getattr(Incident, name) for name in Untold._fields]
    query = (
        select(*columns)
        .outerjoin(MemberNotice, told)
        .where(Incident.redirect_to.is_(None), MemberNotice.member_id.is_(None))
        .order_by(Incident.id)
    )
    rows = await chosen(tx, query, (Incident.member_id, Incident.id), named)
    if member_ids:
        rows += (await tx.execute(query.where(among(tx, Incident.member_id, member_ids)))).all()
    return sorted(map(Untold._make, rows), key=lambda one: one.id)


async def take_notices(
    tx: Transaction, incidents: Sequence[Untold], by: Mapping[tuple[UUID, UUID], UUID | None], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Take the one notice of each of some incidents; which were not taken before, `(member, incident)`.

    `by`: the letters that tell of them; None where nobody can be written to.
    """
    rows = [
        {
            "member_id": one.member_id,
            "incident_id": one.id,
            "organization_id": one.organization_id,
            "letter_id": by[one.member_id, one.id],
            "taken_at": now,
        }
        for one in incidents
    ]
    return {(row["member_id"], row["incident_id"]) for row in await insert_missing(tx, MemberNotice, rows)}


async def tells_of_something(tx: Transaction, letter_id: UUID) -> bool:
    """Whether any incident that a letter tells of is still there and still stands for itself."""
    same = (MemberNotice.member_id == Incident.member_id) & (MemberNotice.incident_id == Incident.id)
    query = select(Incident.id).join(MemberNotice, same)
    return (
        await tx.execute(query.where(MemberNotice.letter_id == letter_id, Incident.redirect_to.is_(None)).limit(1))
    ).first() is not None


async def wants_details(tx: Transaction, letter_id: UUID) -> bool:
    """Whether of any incident that a letter tells of nothing is known but that there is something."""
    told = (MemberNotice.member_id == IncidentAlert.member_id) & (MemberNotice.incident_id == IncidentAlert.incident_id)
    same = (IncidentAlert.member_id == MemberEvent.member_id) & (IncidentAlert.alert_id == MemberEvent.alert_id)
    query = select(MemberEvent.alert_id, MemberEvent.details_requested, MemberEvent.completes).join(IncidentAlert, same)
    rows = (await tx.execute(query.join(MemberNotice, told).where(MemberNotice.letter_id == letter_id))).all()
    return bool(wanting([EventSaid._make(row) for row in rows]))


async def waiting_letter(tx: Transaction, kind: str, recipient: UUID) -> UUID | None:
    """A letter of a kind to somebody that nobody has begun to send, held for this transaction."""
    query = select(Letter.id).where(
        Letter.kind == kind, Letter.recipient == recipient, Letter.state == LetterState.WAITING, Letter.attempts == 0
    )
    return (await tx.execute(query.order_by(Letter.id).limit(1).with_for_update())).scalar_one_or_none()


async def take_request(
    tx: Transaction, organization_id: UUID, member_id: UUID, connection_id: UUID, now: datetime, again_after: timedelta
) -> bool:
    """Take the one request for consent of a while; False when the member was asked not long ago."""
    values = {"member_id": member_id, "connection_id": connection_id, "organization_id": organization_id, "asked_at": now}
    new = upsert(tx, ConsentRequest).values(**values)
    asked = new.on_conflict_do_update(
        index_elements=["member_id", "connection_id"],
        set_={"asked_at": now},
        where=ConsentRequest.asked_at <= now - again_after,
    )
    return (await tx.execute(asked.returning(ConsentRequest.member_id))).first() is not None


async def forget(tx: Transaction, member_ids: Collection[UUID]) -> None:
    """Delete what members were told and asked."""
    await tx.execute(delete(MemberNotice).where(MemberNotice.member_id.in_(member_ids)))
    await tx.execute(delete(ConsentRequest).where(ConsentRequest.member_id.in_(member_ids)))


async def organizations(tx: Transaction) -> Sequence[UUID]:
    """Every organization but the canary's, which nobody looks after."""
    query = select(Organization.id).where(Organization.id != CANARY).order_by(Organization.id)
    return (await tx.execute(query)).scalars().all()


async def admins(tx: Transaction, organization_id: UUID) -> Sequence[UUID]:
    """The accounts of an organization's admins."""
    live = (RoleGrant.account_id == Account.id) & (RoleGrant.role == Role.ADMIN) & RoleGrant.revoked_at.is_(None)
    query = select(Account.id).join(RoleGrant, live)
    query = query.where(Account.organization_id == organization_id, Account.disabled_at.is_(None))
    return (await tx.execute(query.distinct().order_by(Account.id))).scalars().all()


async def parked(tx: Transaction, organization_id: UUID) -> int:
    """How many messages of an organization were given up."""
    query = select(func.count()).select_from(Failure).join(Message, Message.id == Failure.message_id)
    return (
        await tx.execute(query.where(Failure.next_attempt_at.is_(None), Message.organization_id == organization_id))
    ).scalar_one()


async def open_rows(tx: Transaction, organization_id: UUID) -> Sequence[tuple[Alarm, str | None]]:
    """The open alarms of an organization, newest first, each with its connection's title."""
    query = select(Alarm, Connection.title).outerjoin(Connection, Connection.id == Alarm.connection_id)
    query = query.where(Alarm.organization_id == organization_id, Alarm.closed_at.is_(None))
    return [(row[0], row[1]) for row in (await tx.execute(query.order_by(Alarm.id.desc()))).all()]


async def open_counts(tx: Transaction) -> dict[str, int]:
    """How many alarms of each kind are open, of all organizations; 0 for a kind without."""
    query = select(Alarm.kind, func.count()).where(Alarm.closed_at.is_(None)).group_by(Alarm.kind)
    counted = {row[0]: row[1] for row in (await tx.execute(query)).all()}
    return {kind.value: counted.get(kind, 0) for kind in AlarmKind}


async def last_seen(tx: Transaction, organization_id: UUID, kind: AlarmKind) -> datetime | None:
    """When the open alarm of a kind about a whole organization was last found to be so; None: none is open."""
    open_one = (Alarm.organization_id == organization_id, Alarm.kind == kind, Alarm.closed_at.is_(None))
    return (await tx.execute(select(Alarm.last_seen_at).where(*open_one).limit(1))).scalar_one_or_none()


async def open_alarm(tx: Transaction, organization_id: UUID, condition: Condition, now: datetime) -> UUID | None:
    """Open an alarm; None when it is open already."""
    connection_id, kind = condition
    values = {"organization_id": organization_id, "connection_id": connection_id, "kind": kind, "opened_at": now}
    opened = upsert(tx, Alarm).values(**values, last_seen_at=now).on_conflict_do_nothing()
    return (await tx.execute(opened.returning(Alarm.id))).scalar_one_or_none()


async def seen(tx: Transaction, alarm_ids: Collection[UUID], now: datetime) -> None:
    """Note that alarms are still so."""
    await tx.execute(update(Alarm).where(Alarm.id.in_(alarm_ids), Alarm.closed_at.is_(None)).values(last_seen_at=now))


async def close_alarm(tx: Transaction, alarm_id: UUID, not_seen_since: datetime, now: datetime) -> bool:
    """Close an alarm that nobody has seen since a moment; False when it is closed, or was seen."""
    over = (Alarm.id == alarm_id, Alarm.closed_at.is_(None), Alarm.last_seen_at <= not_seen_since)
    closed = update(Alarm).where(*over).values(closed_at=now).returning(Alarm.id)
    return (await tx.execute(closed.execution_options(synchronize_session=False))).first() is not None


async def alarm(tx: Transaction, alarm_id: UUID) -> tuple[Alarm, str | None] | None:
    """One alarm with its connection's title."""
    query = select(Alarm, Connection.title).outerjoin(Connection, Connection.id == Alarm.connection_id)
    row = (await tx.execute(query.where(Alarm.id == alarm_id))).first()
    return None if row is None else (row[0], row[1])


def condition_of(row: Alarm) -> Condition:
    """What an alarm is about."""
    return row.connection_id, AlarmKind(row.kind)
