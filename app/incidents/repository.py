"""All SQL of incidents: unmatched alerts, matched alerts and their events, incidents, verdicts."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update

from app.incidents.identity import Answer
from app.incidents.models import (
    Incident,
    IncidentAlert,
    MemberAlert,
    MemberEvent,
    Unmatched,
    UnmatchedReason,
    Verdict,
)
from app.intake.models import Event, EventOutcome, LookUp, LookUpState
from app.kit.database import Transaction
from app.kit.rows import among, chosen, insert_rows, update_rows
from app.members.models import Enrollment

Made = TypeVar("Made")
MembersOwn = tuple[UUID, UUID]
"""An alert or an incident of a member: the member's id and its own."""


async def match_of(tx: Transaction, connection_id: UUID, alert_id: UUID) -> MemberAlert | None:
    """Whose alert it is, if it is anybody's yet."""
    query = select(MemberAlert).where(MemberAlert.connection_id == connection_id, MemberAlert.alert_id == alert_id)
    return (await tx.execute(query)).scalar_one_or_none()


async def matches_of(tx: Transaction, alerts: Collection[tuple[UUID, UUID]]) -> Sequence[MemberAlert]:
    """Whose some alerts are, `(connection, id)`; those that are nobody's yet are left out."""
    query = select(MemberAlert).where(
        among(tx, MemberAlert.connection_id, {alert[0] for alert in alerts}),
        among(tx, MemberAlert.alert_id, [alert[1] for alert in alerts]),
    )
    return (await tx.execute(query)).scalars().all()


async def events_with(tx: Transaction, member_ids: Collection[UUID], event_ids: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """Which of these events are with which of these members already: `(member, event)`."""
    if not member_ids or not event_ids:
        return set()
    query = select(MemberEvent.member_id, MemberEvent.event_id).where(
        among(tx, MemberEvent.member_id, member_ids), among(tx, MemberEvent.event_id, event_ids)
    )
    return {(row[0], row[1]) for row in (await tx.execute(query)).all()}


async def queued(tx: Transaction, alerts: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Unmatched]:
    """The queue's rows of some alerts, by `(connection, alert)`."""
    query = select(Unmatched).where(
        among(tx, Unmatched.connection_id, {alert[0] for alert in alerts}),
        among(tx, Unmatched.alert_id, [alert[1] for alert in alerts]),
    )
    return {(row.connection_id, row.alert_id): row for row in (await tx.execute(query)).scalars()}


async def unmatched(tx: Transaction, connection_id: UUID, alert_id: UUID) -> Unmatched | None:
    """The queue's row of one alert."""
    return await tx.get(Unmatched, (connection_id, alert_id))


async def open_unmatched_of(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> Sequence[Unmatched]:
    """Open queue rows behind any enrollment of some members."""
    same = (Enrollment.connection_id == Unmatched.connection_id) & (Enrollment.reference_index == Unmatched.reference_index)
    query = (
        select(Unmatched)
        .join(Enrollment, same)
        .where(
            Enrollment.organization_id == organization_id,
            Enrollment.member_id.in_(member_ids),
            Enrollment.ended_at.is_(None),
            Unmatched.organization_id == organization_id,
            Unmatched.closed_at.is_(None),
        )
    )
    return (await tx.execute(query.order_by(Unmatched.alert_id))).scalars().all()


async def breach_records_of(tx: Transaction, organization_id: UUID, member_ids: Collection[UUID]) -> Sequence[Event]:
    """What can still be read of what providers said about breaches and one of these members, by any enrollment, oldest first."""
    same = (Enrollment.connection_id == Event.connection_id) & (Enrollment.reference_index == Event.reference_index)
    query = (
        select(Event)
        .join(Enrollment, same)
        .where(
            Enrollment.organization_id == organization_id,
            Enrollment.member_id.in_(member_ids),
            Enrollment.ended_at.is_(None),
            Event.organization_id == organization_id,
            Event.outcome == EventOutcome.BREACH_RECORD,
            Event.wrapped_key.is_not(None),
        )
    )
    return (await tx.execute(query.order_by(Event.id))).scalars().all()


async def nobodys(tx: Transaction, organization_id: UUID, alert_id: UUID, *, lock: bool = False) -> Unmatched | None:
    """One open queue row of an alert that is nobody's, or could be two people's."""
    query = select(Unmatched).where(
        Unmatched.organization_id == organization_id,
        Unmatched.alert_id == alert_id,
        Unmatched.reason.in_((UnmatchedReason.NO_ENROLLMENT, UnmatchedReason.SEVERAL_MEMBERS)),
        Unmatched.closed_at.is_(None),
    )
    return (await tx.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def unmatched_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Unmatched]:
    """The next open queue rows by alert id, those that wait for a member's consent left out."""
    query = select(Unmatched).where(
        Unmatched.organization_id == organization_id,
        Unmatched.closed_at.is_(None),
        Unmatched.reason.in_((UnmatchedReason.NO_ENROLLMENT, UnmatchedReason.SEVERAL_MEMBERS)),
        Unmatched.alert_id > after,
    )
    return (await tx.execute(query.order_by(Unmatched.alert_id).limit(limit))).scalars().all()


async def waiting_for_consent(tx: Transaction, member_id: UUID) -> Sequence[UUID]:
    """Connections over which something waits for this member's answer."""
    query = select(Unmatched.connection_id).where(
        Unmatched.member_id == member_id,
        Unmatched.reason == UnmatchedReason.NO_CONSENT,
        Unmatched.closed_at.is_(None),
    )
    same = (LookUp.connection_id == Enrollment.connection_id) & (LookUp.reference_index == Enrollment.reference_index)
    noticed = select(LookUp.connection_id).join(Enrollment, same)
    noticed = noticed.where(Enrollment.member_id == member_id, Enrollment.ended_at.is_(None), LookUp.state == LookUpState.WAITING)
    return sorted((await tx.execute(query.union(noticed))).scalars())


async def to_give_up(tx: Transaction, moment: datetime, after: UUID, limit: int) -> Sequence[Unmatched]:
    """The next alerts, by id, that have waited for consent since before `moment`, or were refused and are still there.

    Held for this transaction; what another sweep holds is left to it, so that nothing is given up twice.
    """
    unasked = (Unmatched.reason == UnmatchedReason.NO_CONSENT) & (Unmatched.since <= moment)
    due = unasked | (Unmatched.reason == UnmatchedReason.REFUSED)
    query = select(Unmatched).where(due, Unmatched.closed_at.is_(None), Unmatched.alert_id > after)
    held = query.order_by(Unmatched.alert_id).limit(limit).with_for_update(skip_locked=True)
    return (await tx.execute(held)).scalars().all()


async def unmatched_of_member(tx: Transaction, member_id: UUID) -> Sequence[Unmatched]:
    """Every open queue row that names a member."""
    query = select(Unmatched).where(Unmatched.member_id == member_id, Unmatched.closed_at.is_(None))
    return (await tx.execute(query)).scalars().all()


async def unmatched_counts(tx: Transaction, organization_id: UUID) -> dict[str, int]:
    """Alerts that are nobody's, by reason; those that a member has are left out, also where a later event of theirs waits."""
    still = Unmatched.closed_at.is_(None) | Unmatched.reason.in_((UnmatchedReason.REFUSED, UnmatchedReason.EXPIRED))
    matched = exists().where(MemberAlert.connection_id == Unmatched.connection_id, MemberAlert.alert_id == Unmatched.alert_id)
    query = select(Unmatched.reason, func.count()).where(Unmatched.organization_id == organization_id, still, ~matched)
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(Unmatched.reason))).all()}


async def matched_count(tx: Transaction, organization_id: UUID) -> int:
    """How many alerts are somebody's."""
    query = select(func.count()).select_from(MemberAlert).where(MemberAlert.organization_id == organization_id)
    return (await tx.execute(query)).scalar_one()


async def alerts_of_member(tx: Transaction, member_id: UUID) -> Sequence[MemberAlert]:
    """Every alert that is this member's."""
    query = select(MemberAlert).where(MemberAlert.member_id == member_id)
    return (await tx.execute(query.order_by(MemberAlert.alert_id))).scalars().all()


async def has_event(tx: Transaction, member_id: UUID, event_id: UUID) -> bool:
    """Whether an event is with its member already."""
    return await tx.get(MemberEvent, (member_id, event_id)) is not None


async def events_of_member(tx: Transaction, member_id: UUID) -> Sequence[MemberEvent]:
    """Every event of every matched alert of one member, in order of arrival."""
    query = select(MemberEvent).where(MemberEvent.member_id == member_id)
    return (await tx.execute(query.order_by(MemberEvent.received_at, MemberEvent.event_id))).scalars().all()


async def events_of_alerts(tx: Transaction, member_id: UUID, alert_ids: Sequence[UUID]) -> Sequence[MemberEvent]:
    """The events of some alerts of one member, in order of arrival."""
    query = select(MemberEvent).where(MemberEvent.member_id == member_id, MemberEvent.alert_id.in_(alert_ids))
    return (await tx.execute(query.order_by(MemberEvent.received_at, MemberEvent.event_id))).scalars().all()


async def event_of_member(tx: Transaction, member_id: UUID, event_id: UUID) -> MemberEvent | None:
    """One event of one member."""
    return await tx.get(MemberEvent, (member_id, event_id))


async def incidents_of_member(tx: Transaction, member_id: UUID) -> Sequence[Incident]:
    """Every incident of one member, merged ones too."""
    query = select(Incident).where(Incident.member_id == member_id).order_by(Incident.id)
    return (await tx.execute(query)).scalars().all()


async def alerts_by_incident(tx: Transaction, member_id: UUID) -> dict[UUID, frozenset[UUID]]:
    """Which alerts each incident of a member holds now."""
    query = select(IncidentAlert.incident_id, IncidentAlert.alert_id).where(IncidentAlert.member_id == member_id)
    held: dict[UUID, set[UUID]] = {}
    for incident_id, alert_id in (await tx.execute(query)).all():
        held.setdefault(incident_id, set()).add(alert_id)
    return {incident_id: frozenset(alert_ids) for incident_id, alert_ids in held.items()}


class EventFacts(NamedTuple):
    """What of a member's event correlation and links need, named as in the table."""

    member_id: UUID
    event_id: UUID
    alert_id: UUID
    kind: str
    product: str | None
    institution_index: bytes | None
    last_four: str | None
    occurred_earliest: datetime | None
    occurred_latest: datetime | None
    opened_earliest: datetime | None
    opened_latest: datetime | None
    reported_earliest: datetime | None
    reported_latest: datetime | None
    received_at: datetime
    details_requested: bool
    completes: UUID | None


_EVENT_FACTS = [getattr(MemberEvent, name) for name in EventFacts._fields]


async def facts_of_members(tx: Transaction, member_ids: Collection[UUID]) -> dict[UUID, list[EventFacts]]:
    """Every event of every matched alert of some members, by member, in order of arrival."""
    query = select(*_EVENT_FACTS).where(among(tx, MemberEvent.member_id, member_ids))
    return _by_member(EventFacts._make, (await tx.execute(query.order_by(MemberEvent.received_at, MemberEvent.event_id))).all())


async def facts_of_alerts(tx: Transaction, alerts: Collection[MembersOwn]) -> dict[UUID, list[EventFacts]]:
    """Every event of some alerts, by member, in order of arrival."""
    query = select(*_EVENT_FACTS).order_by(MemberEvent.received_at, MemberEvent.event_id)
    return _by_member(EventFacts._make, await chosen(tx, query, (MemberEvent.member_id, MemberEvent.alert_id), alerts))


async def alerts_at(tx: Transaction, institutions: Collection[tuple[UUID, bytes]]) -> set[MembersOwn]:
    """The alerts of members that name an institution, `(member, institution index)`, in any of their versions."""
    query = select(MemberEvent.member_id, MemberEvent.alert_id)
    rows = await chosen(tx, query, (MemberEvent.member_id, MemberEvent.institution_index), institutions)
    return {(row[0], row[1]) for row in rows}


def _by_member(make: Callable[[Iterable[Any]], Made], rows: Iterable[Sequence[Any]]) -> dict[UUID, list[Made]]:
    found: dict[UUID, list[Made]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(make(row))
    return found


class IncidentRow(NamedTuple):
    """An incident as it is stored, without what never decides anything."""

    member_id: UUID
    id: UUID
    organization_id: UUID
    redirect_to: UUID | None
    kind: str
    family: str
    occurred_earliest: datetime | None
    occurred_latest: datetime | None
    first_received_at: datetime
    answer: str
    needs_review: bool
    ask_again: bool


_INCIDENT_ROW = [getattr(Incident, name) for name in IncidentRow._fields]
_PLACE = (IncidentAlert.member_id, IncidentAlert.incident_id, IncidentAlert.alert_id)


async def incidents_named(tx: Transaction, incidents: Collection[MembersOwn]) -> dict[UUID, list[IncidentRow]]:
    """Some incidents, merged ones too, by member."""
    query = select(*_INCIDENT_ROW).order_by(Incident.id)
    return _by_member(IncidentRow._make, await chosen(tx, query, (Incident.member_id, Incident.id), incidents))


async def own_doing(tx: Transaction, member_id: UUID) -> frozenset[UUID]:
    """The incidents of a member that they said were their own doing."""
    query = select(Incident.id).where(Incident.member_id == member_id, Incident.answer == Answer.WAS_ME)
    return frozenset((await tx.execute(query)).scalars())


async def alerts_held(tx: Transaction, member_ids: Collection[UUID]) -> dict[UUID, dict[UUID, frozenset[UUID]]]:
    """Which alerts each incident of some members holds now, by member."""
    return _held((await tx.execute(select(*_PLACE).where(among(tx, IncidentAlert.member_id, member_ids)))).all())


async def alerts_held_by(tx: Transaction, incidents: Collection[MembersOwn]) -> dict[UUID, dict[UUID, frozenset[UUID]]]:
    """Which alerts some incidents hold now, by member."""
    return _held(await chosen(tx, select(*_PLACE), (IncidentAlert.member_id, IncidentAlert.incident_id), incidents))


async def incidents_holding(tx: Transaction, alerts: Collection[MembersOwn]) -> set[MembersOwn]:
    """The incidents that some alerts belong to now."""
    rows = await chosen(tx, select(*_PLACE), (IncidentAlert.member_id, IncidentAlert.alert_id), alerts)
    return {(row[0], row[1]) for row in rows}


def _held(rows: Iterable[Sequence[Any]]) -> dict[UUID, dict[UUID, frozenset[UUID]]]:
    held: dict[UUID, dict[UUID, set[UUID]]] = {}
    for member_id, incident_id, alert_id in rows:
        held.setdefault(member_id, {}).setdefault(incident_id, set()).add(alert_id)
    return {member: {incident: frozenset(alerts) for incident, alerts in by.items()} for member, by in held.items()}


async def verdicts_of_members(tx: Transaction, member_ids: Collection[UUID]) -> dict[UUID, list[Verdict]]:
    """Every answer that some members ever gave, by member, in order."""
    query = select(Verdict).where(among(tx, Verdict.member_id, member_ids)).order_by(Verdict.id)
    found: dict[UUID, list[Verdict]] = {}
    for row in (await tx.execute(query)).scalars():
        found.setdefault(row.member_id, []).append(row)
    return found


async def write_incidents(
    tx: Transaction,
    new: Sequence[dict[str, Any]],
    changed: Sequence[dict[str, Any]],
    redirected: Sequence[dict[str, Any]],
) -> None:
    """Write incidents: those that are new, those that say something else than before, those that were merged into others."""
    await insert_rows(tx, Incident, new)
    await update_rows(tx, Incident, changed)
    await update_rows(tx, Incident, redirected)


async def write_places(tx: Transaction, new: Sequence[dict[str, Any]], moved: Sequence[dict[str, Any]]) -> None:
    """Say which incident alerts belong to now: those that had no place yet, and those that had another."""
    await insert_rows(tx, IncidentAlert, new)
    await update_rows(tx, IncidentAlert, moved)


async def find_incident(
    tx: Transaction, organization_id: UUID, incident_id: UUID, member_id: UUID | None = None
) -> Incident | None:
    """One incident, followed to the one it was merged into; of one member where `member_id` is given."""
    for _ in range(100):
        query = select(Incident).where(Incident.organization_id == organization_id, Incident.id == incident_id)
        if member_id is not None:
            query = query.where(Incident.member_id == member_id)
        found = (await tx.execute(query)).scalar_one_or_none()
        if found is None or found.redirect_to is None:
            return found
        incident_id, member_id = found.redirect_to, found.member_id
    return None


async def timeline(
    tx: Transaction, organization_id: UUID, member_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Incident]:
    """A member's incidents, the newest first, after the one that `before` names."""
    query = select(Incident).where(
        Incident.organization_id == organization_id, Incident.member_id == member_id, Incident.redirect_to.is_(None)
    )
    if before is not None:
        moment, incident_id = before
        older = (Incident.first_received_at < moment) | ((Incident.first_received_at == moment) & (Incident.id < incident_id))
        query = query.where(older)
    newest = query.order_by(Incident.first_received_at.desc(), Incident.id.desc()).limit(limit)
    return (await tx.execute(newest)).scalars().all()


async def verdicts_of_member(tx: Transaction, member_id: UUID) -> Sequence[Verdict]:
    """Every answer a member ever gave, in order."""
    query = select(Verdict).where(Verdict.member_id == member_id).order_by(Verdict.id)
    return (await tx.execute(query)).scalars().all()


async def all_incidents(tx: Transaction, organization_id: UUID) -> Sequence[Incident]:
    """Every present incident of an organization."""
    query = select(Incident).where(Incident.organization_id == organization_id, Incident.redirect_to.is_(None))
    return (await tx.execute(query.order_by(Incident.member_id, Incident.id))).scalars().all()


async def forget(tx: Transaction, member_id: UUID, now: datetime) -> None:
    """Delete what is kept of a member from the match on; links and losses go with their incidents."""
    for table in (Verdict, IncidentAlert, Incident, MemberEvent, MemberAlert):
        await tx.execute(delete(table).where(table.member_id == member_id))
    await tx.execute(
        update(Unmatched)
        .where(Unmatched.member_id == member_id, Unmatched.closed_at.is_(None))
        .values(reason=UnmatchedReason.ERASED, member_id=None, closed_at=now)
    )
