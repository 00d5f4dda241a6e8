"""Use cases of incidents: recompute a member's incidents, take a verdict, forget an erased member."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.incidents import repository
from app.incidents.correlation import AlertFacts, AlertNode, Component, claimed_occurrence, components
from app.incidents.identity import Answer, GivenVerdict, IncidentVerdict, carry_ids, merge_verdicts
from app.incidents.matching import sealed_at
from app.incidents.models import Incident, MemberEvent, Verdict
from app.incidents.topics import INCIDENTS_CHANGED
from app.intake import repository as intake
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import FieldError, Problem
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.ledger.service import Act, Actor, append
from app.members import repository as members
from app.members.keys import open_json, open_key, seal_json
from connectors.contract import Interval
from connectors.vocabulary import AlertKind


def _interval(earliest: datetime | None, latest: datetime | None) -> Interval | None:
    return Interval(earliest=earliest, latest=latest) if earliest or latest else None


def facts_of(event: MemberEvent) -> AlertFacts:
    """One event as correlation sees it."""
    return AlertFacts(
        kind=AlertKind(event.kind),
        received_at=event.received_at,
        institution=event.institution_index.hex() if event.institution_index else None,
        last_four=event.last_four,
        occurred=_interval(event.occurred_earliest, event.occurred_latest),
        opened=_interval(event.opened_earliest, event.opened_latest),
        reported=_interval(event.reported_earliest, event.reported_latest),
    )


def nodes_of(events: Sequence[MemberEvent]) -> list[AlertNode]:
    """The alerts of some events, each with all its versions. UUIDv7 ids grow with each commit."""
    versions: dict[UUID, set[AlertFacts]] = {}
    for event in events:
        versions.setdefault(event.alert_id, set()).add(facts_of(event))
    return [AlertNode(alert_id, alert_id.int, frozenset(facts)) for alert_id, facts in versions.items()]


def kind_of(events: Sequence[MemberEvent]) -> str:
    """What an incident is called: the kind that most alerts name, one that says more before "unknown".

    An alert names a kind once, however often it was told: repeating it must not change what an incident is called.
    """
    named = Counter(kind for _, kind in {(event.alert_id, event.kind) for event in events})
    return min(named, key=lambda kind: (kind.endswith(".unknown"), -named[kind], kind))


async def recompute(tx: Transaction, keyring: Keyring, organization_id: UUID, member_id: UUID) -> bool:
    """Recompute all incidents of one member from all their alerts; returns whether anything changed."""
    if await members.member(tx, organization_id, member_id, lock=True) is None:
        return False
    events = await repository.events_of_member(tx, member_id)
    rows = {row.id: row for row in await repository.incidents_of_member(tx, member_id)}
    before = await repository.alerts_by_incident(tx, member_id)
    regrouping = carry_ids(before, components(nodes_of(events)))
    verdicts = [
        GivenVerdict(Answer(v.answer), frozenset(UUID(a) for a in v.shown_alerts), v.id.int)
        for v in await repository.verdicts_of_member(tx, member_id)
    ]
    changed = False
    for carried in regrouping.carried:
        row = rows.get(carried.incident_id) if carried.incident_id else None
        if row is None:
            row = Incident(member_id=member_id, id=uuid7(), organization_id=organization_id)
            tx.add(row)
        changed |= _describe(row, carried.component, events, verdicts)
        await tx.flush()
        if before.get(row.id) != carried.component.alert_ids:
            await repository.set_incident_of(tx, member_id, carried.component.alert_ids, row.id)
            changed = True
    for gone, survivor in regrouping.redirects.items():
        await _redirect(tx, keyring, rows[gone], survivor)
    if changed:
        await publish(tx, INCIDENTS_CHANGED, organization_id, member_id=member_id)
    return changed


def _describe(row: Incident, component: Component, events: Sequence[MemberEvent], verdicts: Sequence[GivenVerdict]) -> bool:
    """Set what an incident row says; returns whether that is other than before."""
    own = [event for event in events if event.alert_id in component.alert_ids]
    verdict: IncidentVerdict = merge_verdicts(verdicts, component.alert_ids)
    claimed = claimed_occurrence(facts_of(event) for event in own)
    kind = kind_of(own)
    said = {
        "kind": kind,
        "family": AlertKind(kind).family,
        "occurred_earliest": claimed.earliest,
        "occurred_latest": claimed.latest,
        "first_received_at": min(event.received_at for event in own),
        "answer": verdict.answer.value,
        "needs_review": verdict.needs_review,
        "ask_again": verdict.ask_again,
    }
    if all(getattr(row, name) == value for name, value in said.items()):
        return False
    for name, value in said.items():
        setattr(row, name, value)
    row.updated_at = clock.now()
    return True


async def _redirect(tx: Transaction, keyring: Keyring, gone: Incident, survivor: UUID) -> None:
    gone.redirect_to, gone.updated_at = survivor, clock.now()
    await append(
        tx,
        keyring,
        gone.organization_id,
        Act.MERGE,
        facts={"rule": "connected components"},
        member_id=gone.member_id,
        incident=gone.id,
        into=survivor,
    )


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
        await intake.destroy_keys(tx, connection_id, receipt_ids, items[connection_id])
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
