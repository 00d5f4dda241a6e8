"""Use cases of the timeline. Every look at personal data is written to the ledger before a byte of it leaves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from app.access.roles import Principal, Role
from app.breaches.service import counsel_may_see, require_matter
from app.connections import repository as connections
from app.connections.service import OWN
from app.damages.service import losses_of, totals
from app.incidents import repository as incidents
from app.incidents.details import wanting
from app.incidents.disputed import disputed_events, rests_on_disputed
from app.incidents.identity import Answer
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, MemberEvent
from app.intake import repository as intake
from app.intake.sealing import body_hash, open_body
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.pagination import Page, bad_cursor, decode_cursor, encode_cursor
from app.ledger.service import Act, Entry, Sight, append_many
from app.linkage.service import counsel_links, incidents_of_breach, present_links
from app.members import repository as members
from app.members.keys import Erased, open_json, open_key
from app.timeline.masking import mask, mask_text
from app.timeline.schemas import (
    AlertView,
    AnswerView,
    CounselIncidentDetail,
    DocumentView,
    EventView,
    IncidentDetail,
    MatterIncident,
    OriginalView,
    TimelineEntry,
)
from app.timeline.wording import ANSWERS, DISPUTED, KINDS, ONLY_A_HINT, grade_text
from connectors.contract import Interval
from connectors.own.documents import ENDINGS, media_type_of
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
    doubtful, wanted = rests_on_disputed(events, disputed), bool(wanting(events))
    kind = AlertKind(incident.kind)
    priced = [event for event in events if event.amount is not None]
    return TimelineEntry(
        id=incident.id,
        kind=kind,
        title=ONLY_A_HINT if wanted and kind is AlertKind.OTHER_UNCLASSIFIED else KINDS[kind],
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
        details_requested=wanted,
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


def _look(caller: Principal, member_id: UUID, what: Sight, **ids: UUID) -> Entry:
    return Entry(caller.organization_id, Act.VIEW, {"what": what}, ids, caller.actor, member_id)


async def _seen(tx: Transaction, context: Context, caller: Principal, member_id: UUID, what: Sight, **ids: UUID) -> None:
    await append_many(tx, context.keyring, [_look(caller, member_id, what, **ids)])


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
        wanting=wanting(events),
        sources=await _sources(tx, context, caller, events, key, disputed),
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
    caller: Principal,
    events: Sequence[MemberEvent],
    key: bytes,
    disputed: Collection[UUID],
) -> list[AlertView]:
    views: dict[UUID, AlertView] = {}
    receipts: dict[UUID, _Receipt] = {}
    for event in events:
        connection = await connections.connection_of(tx, caller.organization_id, event.connection_id)
        if event.alert_id not in views:
            source = connection.title if connection else ""
            views[event.alert_id] = AlertView(alert_id=event.alert_id, source=source, events=[])
        if event.receipt_id not in receipts:
            receipts[event.receipt_id] = await _receipt(tx, context, event)
        copy, receipt = _told(key, event), receipts[event.receipt_id]
        view = _event(event, copy["alert"], receipt, own=caller.role is Role.MEMBER, is_disputed=event.event_id in disputed)
        view.document = document_in(copy) if connection is not None and connection.connector == OWN else None
        views[event.alert_id].events.append(view)
    return list(views.values())


class _Receipt(NamedTuple):
    """What is shown of a receipt: the SHA-256 of its body, and why it has its grade."""

    sha256: str | None
    reason: str | None


async def _receipt(tx: Transaction, context: Context, event: MemberEvent) -> _Receipt:
    found = await intake.receipt(tx, event.receipt_id)
    if found is None:
        return _Receipt(None, None)
    return _Receipt(await body_hash(tx, context.keyring, found[0]), found[0].verification.get("reason"))


def document_in(copy: Any) -> DocumentView | None:
    """What a member's own report says of its document; `copy` is the member's copy of its event."""
    about = copy["body"].get("document") if copy["body"] else None
    return DocumentView(media_type=about["media_type"], size=about["size"]) if about else None


def _event(event: MemberEvent, told: Any, receipt: _Receipt, *, own: bool, is_disputed: bool) -> EventView:
    return EventView(
        event_id=event.event_id,
        outcome=event.outcome,
        received_at=event.received_at,
        grade=Grade(event.grade),
        grade_text=grade_text(Grade(event.grade), own=own),
        grade_reason=receipt.reason,
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
        original_sha256=receipt.sha256,
        receipt_id=event.receipt_id,
        disputed=is_disputed,
        details_requested=event.details_requested,
        completes=event.completes,
        document=None,
    )


async def _event_of(
    tx: Transaction, context: Context, caller: Principal, incident_id: UUID, event_id: UUID
) -> tuple[Incident, MemberEvent, Any]:
    """One event of an incident that the caller may see, and its member's copy, opened. Raises a 404 Problem."""
    incident = await _incident(tx, caller, incident_id)
    event = await incidents.event_of_member(tx, incident.member_id, event_id)
    held = (await incidents.alerts_by_incident(tx, incident.member_id)).get(incident.id, frozenset())
    if event is None or event.alert_id not in held:
        raise not_found()
    return incident, event, _told(await _member_key(tx, context, caller.organization_id, incident.member_id), event)


async def original(tx: Transaction, context: Context, caller: Principal, incident_id: UUID, event_id: UUID) -> OriginalView:
    """The provider's own item behind one event, masked. Raises a 404 Problem."""
    incident, event, copy = await _event_of(tx, context, caller, incident_id, event_id)
    await _seen(tx, context, caller, incident.member_id, Sight.ORIGINAL, incident=incident.id, event=event_id)
    return OriginalView(
        event_id=event_id,
        received_at=event.received_at,
        masked=mask(copy["body"]),
        original_sha256=(await _receipt(tx, context, event)).sha256,
        disputed=event_id in await disputed_events(tx, incident.member_id),
    )


@dataclass(frozen=True, slots=True)
class Document:
    """A document that a member handed in, byte for byte, with a name that says nothing."""

    body: bytes = field(repr=False)
    media_type: str
    name: str


async def document(tx: Transaction, context: Context, caller: Principal, incident_id: UUID, event_id: UUID) -> Document:
    """The document of one report, for its member and for counsel of a matter. Raises a 404 Problem."""
    incident, event, copy = await _event_of(tx, context, caller, incident_id, event_id)
    found = await intake.receipt(tx, event.receipt_id)
    if found is None or found[1].connector != OWN or document_in(copy) is None:
        raise not_found()
    body = await open_body(tx, context.keyring, found[0])
    media_type = media_type_of(body) if body is not None else None
    if body is None or media_type is None:
        raise not_found()
    await _seen(tx, context, caller, incident.member_id, Sight.DOCUMENT, incident=incident.id, event=event_id)
    return Document(body, media_type, f"report-{event.received_at:%Y-%m-%d}.{ENDINGS[media_type]}")


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
            found = [await incidents.find_incident(tx, caller.organization_id, one, member_id) for _, one in theirs]
            rows = [row for row in found if row is not None]
            shown = await _entries(tx, context, caller.organization_id, member_id, rows)
            items += [MatterIncident(member_id=member_id, incident=one) for one in shown]
    looks = [_look(caller, one.member_id, Sight.MATTER_LIST, incident=one.incident.id, matter=matter.id) for one in items]
    await append_many(tx, context.keyring, looks)
    last = pairs[limit - 1] if len(pairs) > limit else None
    return Page(items=items, next=encode_cursor(last[0].hex, last[1].hex) if last else None)
