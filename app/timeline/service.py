"""Use cases of the timeline. Every look at personal data is written to the ledger before a byte of it leaves."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from app.access.roles import Principal, Role
from app.breaches.service import counsel_may_see, require_matter
from app.connections import repository as connections
from app.damages.service import losses_of, totals
from app.incidents import repository as incidents
from app.incidents.disputed import disputed_events, rests_on_disputed
from app.incidents.identity import Answer
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, MemberEvent
from app.intake import repository as intake
from app.intake.sealing import body_hash
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.pagination import Page, bad_cursor, decode_cursor, encode_cursor
from app.ledger.service import Act, Sight, append
from app.linkage.service import counsel_links, incidents_of_breach, present_links
from app.members import repository as members
from app.members.keys import Erased, open_json, open_key
from app.timeline.masking import mask, mask_text
from app.timeline.schemas import (
    AlertView,
    AnswerView,
    CounselIncidentDetail,
    EventView,
    IncidentDetail,
    MatterIncident,
    OriginalView,
    TimelineEntry,
)
from app.timeline.wording import ANSWERS, DISPUTED, GRADES, KINDS
from connectors.contract import Interval
from connectors.verifiers import Grade
from connectors.vocabulary import AlertKind, Bureau


def _interval(earliest: datetime | None, latest: datetime | None) -> Interval | None:
    return Interval(earliest=earliest, latest=latest) if earliest or latest else None


def entry(
    incident: Incident, events: Sequence[MemberEvent], names: Sequence[str | None], disputed: Collection[UUID]
) -> TimelineEntry:
    """One incident as a list shows it; of several values that services gave, the last one received.

    `names`: the institution of each event as the service writes it. `disputed`: the ids of events that are.
    """
    doubtful = rests_on_disputed(events, disputed)
    kind = AlertKind(incident.kind)
    priced = [event for event in events if event.amount is not None]
    return TimelineEntry(
        id=incident.id,
        kind=kind,
        title=KINDS[kind],
        institution=next((name for name in reversed(names) if name), None),
        last_four=next((e.last_four for e in reversed(events) if e.last_four), None),
        bureaus=sorted({Bureau(e.bureau) for e in events if e.bureau}),
        amount=priced[-1].amount if priced else None,
        currency=priced[-1].currency if priced else None,
        claimed=_interval(incident.occurred_earliest, incident.occurred_latest),
        first_received_at=incident.first_received_at,
        alerts=len({event.alert_id for event in events}),
        answer=Answer(incident.answer),
        answer_text=ANSWERS[Answer(incident.answer)],
        needs_review=incident.needs_review,
        ask_again=incident.ask_again,
        disputed=doubtful,
        disputed_text=DISPUTED if doubtful else None,
    )


async def _entries(
    tx: Transaction, context: Context, organization_id: UUID, member_id: UUID, rows: Sequence[Incident]
) -> list[TimelineEntry]:
    held = await incidents.alerts_by_incident(tx, member_id)
    events = await incidents.events_of_member(tx, member_id)
    disputed = await disputed_events(tx, member_id)
    key = await _member_key(tx, context, organization_id, member_id)
    entries = []
    for row in rows:
        own = [event for event in events if event.alert_id in held.get(row.id, ())]
        entries.append(entry(row, own, _names(key, own), disputed))
    return entries


def _names(key: bytes, events: Sequence[MemberEvent]) -> list[str | None]:
    """The institution of each event as the service writes it."""
    return [_told(key, event)["alert"]["institution"] for event in events]


def _told(key: bytes, event: MemberEvent) -> Any:
    """What one event told, opened with its member's key."""
    return open_json(key, event.sealed, *sealed_at(event.member_id, event.event_id))


async def _seen(tx: Transaction, context: Context, caller: Principal, member_id: UUID, what: Sight, **ids: UUID) -> None:
    await append(
        tx,
        context.keyring,
        caller.organization_id,
        Act.VIEW,
        facts={"what": what},
        actor=caller.actor,
        member_id=member_id,
        **ids,  # type: ignore[arg-type]
    )


async def timeline_page(
    tx: Transaction, context: Context, caller: Principal, cursor: str | None, limit: int
) -> Page[TimelineEntry]:
    """One page of the caller's own incidents, the newest first."""
    if caller.member_id is None:
        raise not_found()
    rows = await incidents.timeline(tx, caller.organization_id, caller.member_id, before(cursor), limit + 1)
    return await shown_page(tx, context, caller, caller.member_id, rows, limit)


async def shown_page(
    tx: Transaction, context: Context, caller: Principal, member_id: UUID, rows: Sequence[Incident], limit: int
) -> Page[TimelineEntry]:
    """One page of a member's incidents, the look at it written down first. `rows`: one more than the page holds, if there is."""
    await _seen(tx, context, caller, member_id, Sight.TIMELINE)
    last = rows[limit - 1] if len(rows) > limit else None
    following = encode_cursor(last.first_received_at.isoformat(), last.id.hex) if last else None
    return Page(items=await _entries(tx, context, caller.organization_id, member_id, rows[:limit]), next=following)


def before(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Where a page of incidents goes on, by the last of the page before. Raises a 422 Problem."""
    if cursor is None:
        return None
    moment, incident_id = decode_cursor(cursor, 2)
    try:
        given = datetime.fromisoformat(moment)
        last = given.astimezone(UTC), UUID(hex=incident_id)
    except (ValueError, OverflowError):
        raise bad_cursor() from None
    if given.tzinfo is None:
        raise bad_cursor()
    return last


async def _incident(tx: Transaction, caller: Principal, incident_id: UUID) -> Incident:
    """The incident, if the caller may see it: the member's own, or one of counsel's matters. Raises a 404 Problem."""
    own = caller.member_id if caller.role is Role.MEMBER else None
    if caller.role is Role.MEMBER and own is None:
        raise not_found()
    incident = await incidents.find_incident(tx, caller.organization_id, incident_id, own)
    if incident is None or (own is None and not await counsel_may_see(tx, caller, incident.member_id)):
        raise not_found()
    return incident


async def incident_detail(
    tx: Transaction, context: Context, caller: Principal, incident_id: UUID
) -> IncidentDetail | CounselIncidentDetail:
    """Everything known of one incident. Raises a 404 Problem for what is missing, foreign or erased."""
    incident = await _incident(tx, caller, incident_id)
    member_id = incident.member_id
    held = (await incidents.alerts_by_incident(tx, member_id)).get(incident.id, frozenset())
    events = await incidents.events_of_alerts(tx, member_id, sorted(held))
    await _seen(tx, context, caller, member_id, Sight.INCIDENT, incident=incident.id)
    losses = await losses_of(tx, context.keyring, caller.organization_id, member_id, [incident.id])
    key, disputed = await _member_key(tx, context, caller.organization_id, member_id), await disputed_events(tx, member_id)
    detail = IncidentDetail(
        **entry(incident, events, _names(key, events), disputed).model_dump(),
        sources=await _sources(tx, context, caller.organization_id, events, key, disputed),
        answers=await _answers(tx, member_id, held),
        links=await present_links(tx, caller.organization_id, member_id, [incident.id]),
        losses=losses,
        totals=totals(losses),
    )
    if caller.role is not Role.COUNSEL:
        return detail
    seen = await counsel_links(tx, caller.organization_id, member_id, [incident.id])
    return CounselIncidentDetail(**detail.model_dump(), member_id=member_id, counsel_links=seen)


async def _answers(tx: Transaction, member_id: UUID, held: frozenset[UUID]) -> list[AnswerView]:
    return [
        AnswerView(
            answer=Answer(row.answer),
            text=ANSWERS[Answer(row.answer)],
            given_at=row.given_at,
            alerts_shown=len(row.shown_alerts),
        )
        for row in await incidents.verdicts_of_member(tx, member_id)
        if held & {UUID(alert_id) for alert_id in row.shown_alerts}
    ]


async def _erased(tx: Transaction, organization_id: UUID, member_id: UUID) -> bool:
    """Whether a member's key is gone, though the worker that clears up after it has not come by yet."""
    member = await members.member(tx, organization_id, member_id)
    return member is None or member.wrapped_key is None


async def _member_key(tx: Transaction, context: Context, organization_id: UUID, member_id: UUID) -> bytes:
    member = await members.member(tx, organization_id, member_id)
    if member is None:
        raise not_found()
    try:
        return await open_key(tx, context.keyring, member)
    except Erased:
        raise not_found() from None


async def _sources(
    tx: Transaction,
    context: Context,
    organization_id: UUID,
    events: Sequence[MemberEvent],
    key: bytes,
    disputed: Collection[UUID],
) -> list[AlertView]:
    views: dict[UUID, AlertView] = {}
    hashes: dict[UUID, str | None] = {}
    for event in events:
        if event.alert_id not in views:
            connection = await connections.connection_of(tx, organization_id, event.connection_id)
            source = connection.title if connection else ""
            views[event.alert_id] = AlertView(alert_id=event.alert_id, source=source, events=[])
        if event.receipt_id not in hashes:
            hashes[event.receipt_id] = await _body_hash(tx, context, event)
        told, is_disputed = _told(key, event)["alert"], event.event_id in disputed
        views[event.alert_id].events.append(_event(event, told, hashes[event.receipt_id], is_disputed))
    return list(views.values())


async def _body_hash(tx: Transaction, context: Context, event: MemberEvent) -> str | None:
    found = await intake.receipt(tx, event.receipt_id)
    return await body_hash(tx, context.keyring, found[0]) if found else None


def _event(event: MemberEvent, told: Any, original_sha256: str | None, is_disputed: bool) -> EventView:
    return EventView(
        event_id=event.event_id,
        outcome=event.outcome,
        received_at=event.received_at,
        grade=Grade(event.grade),
        grade_text=GRADES[Grade(event.grade)],
        summary=mask_text(told["summary"]),
        kind=AlertKind(event.kind),
        bureau=Bureau(event.bureau) if event.bureau else None,
        institution=told["institution"],
        last_four=event.last_four,
        amount=event.amount,
        currency=event.currency,
        occurred=_interval(event.occurred_earliest, event.occurred_latest),
        opened=_interval(event.opened_earliest, event.opened_latest),
        reported=_interval(event.reported_earliest, event.reported_latest),
        original_sha256=original_sha256,
        receipt_id=event.receipt_id,
        disputed=is_disputed,
    )


async def original(tx: Transaction, context: Context, caller: Principal, incident_id: UUID, event_id: UUID) -> OriginalView:
    """The provider's own item behind one event, masked. Raises a 404 Problem."""
    incident = await _incident(tx, caller, incident_id)
    event = await incidents.event_of_member(tx, incident.member_id, event_id)
    held = (await incidents.alerts_by_incident(tx, incident.member_id)).get(incident.id, frozenset())
    if event is None or event.alert_id not in held:
        raise not_found()
    key = await _member_key(tx, context, caller.organization_id, incident.member_id)
    await _seen(tx, context, caller, incident.member_id, Sight.ORIGINAL, incident=incident.id, event=event_id)
    return OriginalView(
        event_id=event_id,
        received_at=event.received_at,
        masked=mask(_told(key, event)["body"]),
        original_sha256=await _body_hash(tx, context, event),
        disputed=event_id in await disputed_events(tx, incident.member_id),
    )


async def matter_incidents(
    tx: Transaction, context: Context, caller: Principal, matter_id: UUID, cursor: str | None, limit: int
) -> Page[MatterIncident]:
    """One page of the incidents linked to a matter's breach, also those that speak against it. Raises a 404 Problem."""
    matter = await require_matter(tx, caller, matter_id)
    after = None
    if cursor is not None:
        keys = decode_cursor(cursor, 2)
        try:
            after = UUID(hex=keys[0]), UUID(hex=keys[1])
        except ValueError:
            raise bad_cursor() from None
    pairs = await incidents_of_breach(tx, caller.organization_id, matter.breach_id, after, limit + 1)
    items: list[MatterIncident] = []
    for member_id, theirs in groupby(pairs[:limit], key=itemgetter(0)):
        if not await _erased(tx, caller.organization_id, member_id):
            found = [
                await incidents.find_incident(tx, caller.organization_id, incident_id, member_id) for _, incident_id in theirs
            ]
            rows = [row for row in found if row is not None]
            for shown in await _entries(tx, context, caller.organization_id, member_id, rows):
                items.append(MatterIncident(member_id=member_id, incident=shown))
                await _seen(tx, context, caller, member_id, Sight.MATTER_LIST, incident=shown.id, matter=matter.id)
    last = pairs[limit - 1] if len(pairs) > limit else None
    return Page(items=items, next=encode_cursor(last[0].hex, last[1].hex) if last else None)
