"""Use cases of incidents: recompute a member's incidents, take a verdict, forget an erased member."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.incidents import details, repository
from app.incidents.correlation import AlertFacts, AlertNode, claimed_occurrence, components
from app.incidents.identity import Answer, GivenVerdict, IncidentVerdict, carry_ids, merge_verdicts
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, Verdict
from app.incidents.repository import EventFacts, IncidentRow, MembersOwn
from app.incidents.topics import INCIDENTS_CHANGED, naming
from app.intake import repository as intake
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.outbox import because_of, publish_many
from app.ledger.service import Act, Actor, Entry, append, append_many
from app.members import repository as members
from app.members.keys import open_json, open_key, seal_json
from connectors.contract import Interval
from connectors.vocabulary import AlertKind

Held = Mapping[UUID, Mapping[UUID, frozenset[UUID]]]
"""Which alerts incidents hold: member to incident to alerts."""

Changed = Mapping[UUID, Set[UUID]]
"""Which incidents are other than before, by member."""

NONE_NAMED: Mapping[UUID, Collection[str]] = {}


@lru_cache(maxsize=8192)
def _interval(earliest: datetime | None, latest: datetime | None) -> Interval | None:
    return Interval(earliest=earliest, latest=latest) if earliest or latest else None


def facts_of(event: EventFacts) -> AlertFacts:
    """One event as correlation sees it."""
    return AlertFacts(
        kind=AlertKind(event.kind),
        received_at=event.received_at,
        institution=event.institution_index.hex() if event.institution_index else None,
        last_four=event.last_four,
        occurred=_interval(event.occurred_earliest, event.occurred_latest),
        opened=_interval(event.opened_earliest, event.opened_latest),
        reported=_interval(event.reported_earliest, event.reported_latest),
        completes=event.completes,
    )


Said = tuple[EventFacts, AlertFacts]
"""One event, and as correlation sees it."""


def nodes_of(said: Mapping[UUID, Sequence[Said]]) -> list[AlertNode]:
    """Some alerts, by id with all their events, each with all its versions. UUIDv7 ids grow with each commit."""
    return [AlertNode(alert_id, alert_id.int, frozenset([facts for _, facts in own])) for alert_id, own in said.items()]


def kind_of(events: Sequence[EventFacts]) -> str:
    """What an incident is called: the kind that most alerts name; "unknown" comes after what says more, "unclassified" last.

    An alert names a kind once, however often it was told: repeating it must not change what an incident is called. One that
    says only that there is something is asked where no other says anything.
    """
    telling = [event for event in events if not event.details_requested] or events
    if len({event.kind for event in telling}) == 1:
        return telling[0].kind
    named = Counter(kind for _, kind in {(event.alert_id, event.kind) for event in telling})
    unclassified = AlertKind.OTHER_UNCLASSIFIED
    return min(named, key=lambda kind: (kind == unclassified, kind.endswith(".unknown"), -named[kind], kind))


async def recompute(tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID) -> bool:
    """Recompute all incidents of one member from all their alerts; returns whether anything changed."""
    owners = await _locked(tx, {member_id: organization_id})
    events = await repository.facts_of_members(tx, owners)
    held = await repository.alerts_held(tx, owners)
    return bool(await _recompute(tx, keyring, owners, events, held, INCIDENTS_CHANGED))


async def recompute_around(
    tx: Transaction,
    keyring: Keyring,
    alerts: Mapping[UUID, Collection[UUID]],
    owners: Mapping[UUID, UUID],
    receipts: Mapping[UUID, Collection[str]] = NONE_NAMED,
    *,
    topic: str = INCIDENTS_CHANGED,
) -> Changed:
    """Recompute the incidents of members that some of their `alerts` can be part of; what comes out is as if all were recomputed.

    `owners`: their organizations, by member; `receipts`: those that what happened comes from, by member, for the log; `topic`:
    as what it is told. Everything is read once for all, and only what is other than before is written, and returned.
    """
    ours = await _locked(tx, owners)
    events, held = await neighbourhood(tx, {(one, alert_id) for one in ours for alert_id in alerts.get(one, ())})
    return await _recompute(tx, keyring, ours, events, held, topic, receipts)


async def _locked(tx: Transaction, owners: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """Those members, with their organizations, that are there and whose they are said to be."""
    locked = await members.lock_members(tx, owners)
    return {one: owners[one] for one in sorted(locked) if locked[one].organization_id == owners[one]}


async def neighbourhood(tx: Transaction, alerts: Set[MembersOwn]) -> tuple[dict[UUID, list[EventFacts]], Held]:
    """The events of these alerts and of all that can be in one incident with them, and which incidents these are in now.

    Only alerts that name the same institution, or of which one completes the other, are ever one incident (`correlation`). So
    whatever is tied to an alert in here, or is in one incident with it now, is in here too; no rule then reaches out of it.
    """
    events: dict[UUID, list[EventFacts]] = {}
    known: set[MembersOwn] = set()
    homes: set[MembersOwn] = set()
    while fresh := alerts - known:
        known |= fresh
        new = await repository.facts_of_alerts(tx, fresh)
        for member_id, found in new.items():
            events.setdefault(member_id, []).extend(found)
        named = {(one, event.institution_index) for one, found in new.items() for event in found if event.institution_index}
        now_in = await repository.incidents_holding(tx, fresh) - homes
        homes |= now_in
        beside = await repository.alerts_held_by(tx, now_in)
        alerts = {(one, alert_id) for one, by in beside.items() for alert_ids in by.values() for alert_id in alert_ids}
        alerts |= await repository.alerts_at(tx, named) | await details.alerts_completing(tx, fresh)
        alerts |= {(one, event.completes) for one, found in new.items() for event in found if event.completes}
    for found in events.values():
        found.sort(key=lambda event: (event.received_at, event.event_id))
    return events, await repository.alerts_held_by(tx, homes)


async def _recompute(
    tx: Transaction,
    keyring: Keyring,
    owners: Mapping[UUID, UUID],
    events: Mapping[UUID, Sequence[EventFacts]],
    held: Held,
    topic: str,
    receipts: Mapping[UUID, Collection[str]] = NONE_NAMED,
) -> Changed:
    """Group these events anew; returns which incidents are other than before."""
    if not owners:
        return {}
    stored = await repository.incidents_named(tx, [(one, incident_id) for one, by in held.items() for incident_id in by])
    verdicts = await repository.verdicts_of_members(tx, owners)
    writing = _Writing()
    for one, organization_id in owners.items():
        given = [
            GivenVerdict(Answer(v.answer), frozenset(UUID(a) for a in v.shown_alerts), v.id.int) for v in verdicts.get(one, ())
        ]
        regroup(writing, (organization_id, one), events.get(one, []), stored.get(one, []), held.get(one, {}), given)
    await _write(tx, keyring, writing, owners, topic, receipts)
    return writing.touched


@dataclass
class _Writing:
    """What a recomputation has to write, table by table."""

    new: list[dict[str, Any]] = field(default_factory=list)
    changed: list[dict[str, Any]] = field(default_factory=list)
    redirected: list[dict[str, Any]] = field(default_factory=list)
    placed: list[dict[str, Any]] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)
    touched: defaultdict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    """Which incidents are other than before, by member."""


def regroup(
    writing: _Writing,
    whose: tuple[UUID, UUID],
    events: Sequence[EventFacts],
    stored: Sequence[IncidentRow],
    held: Mapping[UUID, frozenset[UUID]],
    verdicts: Sequence[GivenVerdict],
) -> None:
    """Add to `writing` what one member's incidents must become; `whose` is the organization and the member."""
    organization_id, member_id = whose
    now, rows = clock.now(), {row.id: row for row in stored}
    at_home = {alert_id: incident_id for incident_id, alert_ids in held.items() for alert_id in alert_ids}
    of_alert: defaultdict[UUID, list[Said]] = defaultdict(list)
    for event in events:
        of_alert[event.alert_id].append((event, facts_of(event)))
    regrouping = carry_ids(held, components(nodes_of(of_alert)))
    for carried in regrouping.carried:
        row = rows.get(carried.incident_id) if carried.incident_id else None
        incident_id = row.id if row else uuid7()
        alert_ids = carried.component.alert_ids
        said = _description(alert_ids, [one for alert_id in alert_ids for one in of_alert[alert_id]], verdicts)
        key = {"member_id": member_id, "id": incident_id}
        if row is None:
            writing.new.append({**key, "organization_id": organization_id, "redirect_to": None, **said, "updated_at": now})
        elif any(getattr(row, name) != value for name, value in said.items()):
            writing.changed.append({**key, **said, "updated_at": now})
        else:
            key = {}
        for alert_id in sorted([alert for alert in alert_ids if at_home.get(alert) != incident_id]):
            place = {"member_id": member_id, "alert_id": alert_id, "incident_id": incident_id}
            (writing.moved if alert_id in at_home else writing.placed).append(place)
        if key or held.get(incident_id) != alert_ids:
            writing.touched[member_id].add(incident_id)
    for gone, survivor in regrouping.redirects.items():
        writing.touched[member_id].add(gone)
        writing.redirected.append({"member_id": member_id, "id": gone, "redirect_to": survivor, "updated_at": now})


def _description(alert_ids: frozenset[UUID], own: Sequence[Said], verdicts: Sequence[GivenVerdict]) -> dict[str, Any]:
    """What the row of an incident with these alerts and events says."""
    verdict: IncidentVerdict = merge_verdicts(verdicts, alert_ids)
    claimed = claimed_occurrence([facts for _, facts in own])
    kind = kind_of([event for event, _ in own])
    return {
        "kind": kind,
        "family": AlertKind(kind).family,
        "occurred_earliest": claimed.earliest,
        "occurred_latest": claimed.latest,
        "first_received_at": min([event.received_at for event, _ in own]),
        "answer": verdict.answer.value,
        "needs_review": verdict.needs_review,
        "ask_again": verdict.ask_again,
    }


async def _write(
    tx: Transaction,
    keyring: Keyring,
    writing: _Writing,
    owners: Mapping[UUID, UUID],
    topic: str,
    receipts: Mapping[UUID, Collection[str]],
) -> None:
    await repository.write_incidents(tx, writing.new, writing.changed, writing.redirected)
    await repository.write_places(tx, writing.placed, writing.moved)
    entries = [
        Entry(
            owners[gone["member_id"]],
            Act.MERGE,
            {"rule": "connected components"},
            {"incident": gone["id"], "into": gone["redirect_to"]},
            member_id=gone["member_id"],
        )
        for gone in writing.redirected
    ]
    await append_many(tx, keyring, entries)
    changed = [
        (owners[one], {**naming(one, named), **because_of(receipts.get(one, ()))})
        for one, named in sorted(writing.touched.items())
    ]
    await publish_many(tx, topic, changed)


async def give_verdict(
    tx: Transaction,
    keyring: Keyring,
    incident: Incident,
    answer: Answer,
    shown: Sequence[UUID],
    actor: Actor,
) -> None:
    """Take the member's answer, bound to the alerts that they were shown. Raises a 409 Problem when these are not its own."""
    held = (await repository.alerts_by_incident(tx, incident.member_id)).get(incident.id, frozenset())
    if not shown or not frozenset(shown) <= held:
        message = "This incident has changed since you opened it. Open it again, look, and answer once more."
        raise Problem(409, message, errors=[FieldError(field="body.shown", message=message)])
    verdict = Verdict(
        member_id=incident.member_id,
        id=uuid7(),
        incident_id=incident.id,
        answer=answer,
        shown_alerts=sorted(str(alert_id) for alert_id in shown),
        given_by=actor.id or UUID(int=0),
        given_at=clock.now(),
    )
    tx.add(verdict)
    await tx.flush()
    facts = {"answer": answer, "shown": verdict.shown_alerts}
    await append(
        tx,
        keyring,
        incident.organization_id,
        Act.VERDICT,
        facts=facts,
        actor=actor,
        member_id=incident.member_id,
        incident=incident.id,
        verdict=verdict.id,
    )
    await recompute(tx, keyring, incident.organization_id, incident.member_id)
    await tx.refresh(incident)


async def forget(tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID) -> None:
    """After an erasure: destroy the keys of every receipt and event that held the member, and delete what was derived."""
    held = {(row.connection_id, row.alert_id) for row in await repository.alerts_of_member(tx, member_id)}
    held |= {(row.connection_id, row.alert_id) for row in await repository.unmatched_of_member(tx, member_id)}
    receipts: dict[UUID, set[UUID]] = {}
    items: dict[UUID, set[UUID]] = {}
    for connection_id, alert_id in sorted(held):
        for event in await intake.alert_events(tx, connection_id, alert_id):
            receipts.setdefault(connection_id, set()).add(event.receipt_id)
            items.setdefault(connection_id, set()).add(event.id)
    for connection_id, receipt_ids in receipts.items():
        await intake.destroy_keys(tx, organization_id, connection_id, receipt_ids, items[connection_id], "member erased")
    await repository.forget(tx, member_id, clock.now())
    facts = {
        "destroyed": "receipt and event keys",
        "events": sum(map(len, items.values())),
        "receipts": sum(map(len, receipts.values())),
    }
    await append(tx, keyring, organization_id, Act.ERASURE, facts=facts, member_id=member_id)


async def erase_raw(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, alert_id: UUID, event_id: UUID
) -> None:
    """Take the provider's own item out of the member's copy of an event; what was understood of it stays."""
    matched = await repository.match_of(tx, connection_id, alert_id)
    member = await members.member(tx, organization_id, matched.member_id, lock=True) if matched else None
    event = await repository.event_of_member(tx, member.id, event_id) if member else None
    if member is None or event is None or member.wrapped_key is None:
        return
    key, where = await open_key(tx, keyring, member), sealed_at(member.id, event_id)
    event.sealed = seal_json(key, {**open_json(key, event.sealed, *where), "body": None, "asked": {}}, *where)
