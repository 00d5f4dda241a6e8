"""Find out whose alert it is: by enrollment, with consent, or it waits in the queue, sealed and readable by no role."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from app.incidents import repository
from app.incidents.institutions import canonical_institution
from app.incidents.models import MemberAlert, MemberEvent, Unmatched, UnmatchedReason
from app.intake import repository as intake
from app.intake.fresh import Fresh, alert_of
from app.intake.models import AlertRow, Event
from app.intake.parts import Part
from app.intake.repository import KnownAlert, Readable
from app.intake.sealing import open_copy
from app.intake.understanding import alert_in
from app.kit import canonical, clock, crypto
from app.kit.database import Transaction
from app.kit.ids import written
from app.kit.keyring import Keyring
from app.kit.outbox import publish_many
from app.kit.rows import insert_rows
from app.ledger.service import Act, Entry, append, append_many
from app.members import repository as members
from app.members.keys import open_key
from app.members.models import Enrollment
from app.members.repository import LockedMember
from app.members.service import CONSENT_MISSING, all_consents_to, consents_to
from connectors.contract import Alert, Interval

LONGEST_WAIT = timedelta(days=90)
PAGE = 100

Place = tuple[UUID, UUID]
"""An alert: its connection and its id."""


class Whose(NamedTuple):
    """An alert that is a member's."""

    member_id: UUID
    organization_id: UUID
    alert_id: UUID


@dataclass
class _Batch:
    """What is known of some alerts before any of them is matched. Everything is read once, by one statement for each table."""

    alerts: dict[Place, KnownAlert]
    events: dict[Place, list[Readable]]
    matched: dict[Place, MemberAlert]
    with_member: set[tuple[UUID, UUID]]
    waiting: dict[Place, Unmatched]

    def unbrought(self, place: Place) -> list[Readable]:
        """The alert's events that can still be opened and are not with its member."""
        known = self.matched.get(place)
        events = self.events.get(place, [])
        return [event for event in events if (known.member_id, event.id) not in self.with_member] if known else events


async def match_all(tx: Transaction, keyring: Keyring, wanted: Collection[Place]) -> list[Whose]:
    """Match alerts, `(connection, id)`, with all their events that are not with their member yet.

    Those that are somebody's are returned, with whose they are; the others wait.
    """
    batch = await _read(tx, wanted)
    matched = [
        Whose(row.member_id, row.organization_id, place[1])
        for place, row in batch.matched.items()
        if place in batch.alerts and not batch.unbrought(place)
    ]
    to_match = [place for place in batch.alerts if batch.unbrought(place)]
    answers = await _whose_all(tx, batch, to_match)
    found = {place: answer.found for place, answer in answers.items() if answer.found is not None}
    # All at once: whoever comes back for more may wait for somebody who waits for it.
    people = await members.lock_members(tx, {one.member_id for one in (*found.values(), *batch.matched.values())})
    theirs = _theirs(found, people)
    await _write_matches(tx, keyring, _enrolled(batch.alerts, found, theirs))
    await _bring_events(tx, keyring, await _opened(tx, keyring, batch, theirs))
    for place, member in theirs.items():
        matched.append(Whose(member.id, member.organization_id, place[1]))
        row = batch.waiting.get(place)
        if row is not None and row.closed_at is None:
            row.closed_at = clock.now()
    await _wait_all(tx, keyring, batch, {place: answer for place, answer in answers.items() if answer.found is None})
    return matched


async def match_fresh(tx: Transaction, keyring: Keyring, new: Sequence[Fresh]) -> list[Whose]:
    """Match alerts that came in this very transaction where enrollment and consent stand already; whose they are.

    The others are not touched: `match_all` has them wait.
    """
    alerts = {(one.alert.connection_id, one.alert.id): one.alert for one in new}
    answers = await _whose_all(tx, _Batch(alerts, {}, {}, set(), {}), list(alerts))
    found = {place: answer.found for place, answer in answers.items() if answer.found is not None}
    theirs = _theirs(found, await members.lock_members(tx, {one.member_id for one in found.values()}))
    await _write_matches(tx, keyring, _enrolled(alerts, found, theirs))
    said = {(one.alert.connection_id, one.alert.id): [_said(part) for part in one.parts] for one in new}
    await _bring_events(tx, keyring, [(member, said[place]) for place, member in theirs.items()])
    return [Whose(member.id, member.organization_id, place[1]) for place, member in theirs.items()]


Claims = Mapping[Place, Enrollment | MemberAlert]
"""By what alerts are somebody's."""


def _theirs(found: Claims, people: Mapping[UUID, LockedMember]) -> dict[Place, LockedMember]:
    """Whose these alerts are, of those who are still there."""
    claimed = ((place, one, people.get(one.member_id)) for place, one in found.items())
    return {
        place: member
        for place, one, member in claimed
        if member is not None and member.wrapped_key is not None and member.organization_id == one.organization_id
    }


def _enrolled(
    alerts: Mapping[Place, KnownAlert], found: Claims, theirs: Collection[Place]
) -> list[tuple[KnownAlert, Enrollment]]:
    """The alerts that become somebody's only now, with the enrollment by which they do."""
    by = ((place, found[place]) for place in theirs)
    return [(alerts[place], one) for place, one in by if isinstance(one, Enrollment)]


async def _read(tx: Transaction, wanted: Collection[Place]) -> _Batch:
    alerts = {(row.connection_id, row.id): row for row in await intake.alerts(tx, wanted)}
    ordered = {place: alerts[place] for place in wanted if place in alerts}
    events: dict[Place, list[Readable]] = {}
    for event in await intake.readable_events(tx, wanted):
        events.setdefault((event.connection_id, event.alert_id), []).append(event)
    known = {(row.connection_id, row.alert_id): row for row in await repository.matches_of(tx, wanted)}
    theirs = [event.id for place in known for event in events.get(place, ())]
    brought = await repository.events_with(tx, {row.member_id for row in known.values()}, theirs)
    return _Batch(ordered, events, known, brought, await repository.queued(tx, wanted))


class _Answer(NamedTuple):
    """By what an alert is somebody's; else why it is nobody's, and whom to ask for consent."""

    found: Enrollment | MemberAlert | None
    reason: UnmatchedReason
    asked: UUID | None


async def _whose_all(tx: Transaction, batch: _Batch, places: Sequence[Place]) -> dict[Place, _Answer]:
    """The answers of `whose` and `_still` for many alerts at once."""
    matched = batch.matched
    fresh = [batch.alerts[place] for place in places if place not in matched]
    behind: dict[tuple[UUID, UUID, bytes], list[Enrollment]] = {}
    for row in await members.enrollments_behind(tx, {(alert.connection_id, alert.reference_index) for alert in fresh}, ever=True):
        behind.setdefault((row.organization_id, row.connection_id, row.reference_index), []).append(row)
    claims = {place: [matched[place]] if place in matched else _at_the_time(batch.alerts[place], behind) for place in places}
    single = {(ones[0].member_id, place[0]) for place, ones in claims.items() if len(ones) == 1}
    agreed = await all_consents_to(tx, single, clock.now())
    return {place: _answer(ones, agreed.get((ones[0].member_id, place[0])) if ones else None) for place, ones in claims.items()}


def _at_the_time(
    alert: KnownAlert, behind: Mapping[tuple[UUID, UUID, bytes], Sequence[Enrollment]]
) -> Sequence[Enrollment | MemberAlert]:
    """Who was behind its reference when it came in, if they are no more: a person may have been asked about it meanwhile."""
    return [row for row in behind.get(_reference(alert), ()) if row.stands_at(alert.first_received_at)]


def _reference(alert: KnownAlert) -> tuple[UUID, UUID, bytes]:
    return alert.organization_id, alert.connection_id, alert.reference_index


def _answer(claims: Sequence[Enrollment | MemberAlert], agreed: bool | None) -> _Answer:
    """Who is behind a reference, or has the alert already. Later events need consent like the first: it may have run out."""
    if not claims:
        return _Answer(None, UnmatchedReason.NO_ENROLLMENT, None)
    if len(claims) > 1:
        return _Answer(None, UnmatchedReason.SEVERAL_MEMBERS, None)
    if agreed is None:
        return _Answer(None, UnmatchedReason.NO_CONSENT, claims[0].member_id)
    if not agreed:
        return _Answer(None, UnmatchedReason.REFUSED, claims[0].member_id)
    return _Answer(claims[0], UnmatchedReason.NO_ENROLLMENT, None)


async def _unbrought(tx: Transaction, alert: AlertRow, member_id: UUID | None) -> list[Event]:
    """The alert's events that can still be opened and are not with this member."""
    events = await intake.alert_events(tx, alert.connection_id, alert.id)
    readable = [event for event in events if event.wrapped_key is not None]
    if member_id is None:
        return readable
    return [event for event in readable if not await repository.has_event(tx, member_id, event.id)]


async def whose(
    tx: Transaction, organization_id: UUID, connection_id: UUID, reference_index: bytes
) -> tuple[Enrollment | None, UnmatchedReason, UUID | None]:
    """The enrollment by which something is somebody's; else why it is nobody's, and whom to ask for consent."""
    enrollments = await members.enrollments_of(tx, organization_id, connection_id, reference_index)
    agreed = await consents_to(tx, enrollments[0].member_id, connection_id, clock.now()) if len(enrollments) == 1 else None
    answer = _answer(enrollments, agreed)
    return answer.found if isinstance(answer.found, Enrollment) else None, answer.reason, answer.asked


async def _wait_all(tx: Transaction, keyring: Keyring, batch: _Batch, answers: Mapping[Place, _Answer]) -> None:
    """Put alerts into the queue. What was refused comes last, one by one: to give one up can change whose the next one is."""
    refused = [place for place, answer in answers.items() if answer.reason is UnmatchedReason.REFUSED]
    to_ask = []
    for place, answer in answers.items():
        if answer.reason is UnmatchedReason.REFUSED:
            continue
        _queue(tx, batch, place, answer)
        if answer.reason is UnmatchedReason.NO_CONSENT and answer.asked is not None:
            to_ask.append(_to_ask(batch, place, answer.asked))
    await tx.flush()
    await publish_many(tx, CONSENT_MISSING, to_ask)
    for place in refused:
        answer = (await _whose_all(tx, batch, [place]))[place]
        row = _queue(tx, batch, place, answer)
        await tx.flush()
        if answer.reason is UnmatchedReason.REFUSED:
            await give_up(tx, keyring, row, UnmatchedReason.REFUSED)
        elif answer.reason is UnmatchedReason.NO_CONSENT and answer.asked is not None:
            await publish_many(tx, CONSENT_MISSING, [_to_ask(batch, place, answer.asked)])


def _to_ask(batch: _Batch, place: Place, member_id: UUID) -> tuple[UUID, dict[str, UUID]]:
    return batch.alerts[place].organization_id, {"member_id": member_id, "connection_id": place[0]}


def _queue(tx: Transaction, batch: _Batch, place: Place, answer: _Answer) -> Unmatched:
    alert, row = batch.alerts[place], batch.waiting.get(place)
    if row is None:
        row = Unmatched(
            connection_id=alert.connection_id,
            alert_id=alert.id,
            organization_id=alert.organization_id,
            reference_index=alert.reference_index,
            since=clock.now(),
        )
        tx.add(row)
    elif row.closed_at is not None:
        row.closed_at, row.since = None, clock.now()
    row.reason, row.member_id = answer.reason, answer.asked
    return row


async def give_up(tx: Transaction, keyring: Keyring, row: Unmatched, reason: UnmatchedReason) -> bool:
    """Destroy what waits without consent; hash and reason remain. False while a legal hold forbids it.

    What the member agreed to at the time, and has, stays theirs. What a caseworker gave them goes back to the queue: if it
    was a mistake, it is somebody else's, and theirs to answer for.
    """
    if row.member_id is not None and await members.take_back(tx, row.member_id, row.connection_id, row.reference_index):
        row.reason, row.member_id, row.since = UnmatchedReason.NO_ENROLLMENT, None, clock.now()
        await tx.flush()
        return False
    if row.member_id is not None and await members.is_held(tx, row.organization_id, row.member_id):
        return False
    alert = await intake.alert(tx, row.connection_id, row.alert_id)
    events = await _unbrought(tx, alert, row.member_id) if alert else []
    receipt_ids, event_ids = {e.receipt_id for e in events}, {e.id for e in events}
    await intake.destroy_keys(tx, row.organization_id, row.connection_id, receipt_ids, event_ids, reason)
    row.reason, row.closed_at = reason, clock.now()
    facts = {"destroyed": "event and receipt keys", "reason": reason}
    await append(tx, keyring, row.organization_id, Act.ERASURE, facts=facts, member_id=row.member_id, alert=row.alert_id)
    return True


async def expire(tx: Transaction, keyring: Keyring) -> int:
    """Give up on what has waited 90 days for consent, and on what was refused under a hold since released; returns how many."""
    given_up, after = 0, UUID(int=0)
    while rows := await repository.to_give_up(tx, clock.now() - LONGEST_WAIT, after, PAGE):
        for row in rows:
            refused = row.reason == UnmatchedReason.REFUSED
            given_up += await give_up(tx, keyring, row, UnmatchedReason.REFUSED if refused else UnmatchedReason.EXPIRED)
        after = rows[-1].alert_id
    return given_up


async def _write_matches(tx: Transaction, keyring: Keyring, found: Sequence[tuple[KnownAlert, Enrollment]]) -> None:
    now = clock.now()
    rows = [
        {
            "member_id": enrollment.member_id,
            "alert_id": alert.id,
            "organization_id": alert.organization_id,
            "connection_id": alert.connection_id,
            "enrollment_id": enrollment.id,
            "grade": alert.grade,
            "first_received_at": alert.first_received_at,
            "matched_at": now,
        }
        for alert, enrollment in found
    ]
    await insert_rows(tx, MemberAlert, rows)
    entries = []
    for alert, enrollment in found:
        facts, ids = canonical.dumps_simple({"enrollment": written(enrollment.id)}), {"alert": alert.id}
        entries.append(Entry(alert.organization_id, Act.MATCH, facts, ids, member_id=enrollment.member_id))
    await append_many(tx, keyring, entries)


class _Said(NamedTuple):
    """One event of an alert: what its copy holds, as JSON, and the alert in it."""

    event: Readable
    copy: bytes
    told: Alert


def _said(part: Part) -> _Said:
    receipt, alert_id = part.receipt, part.alert_id or part.id
    ids = receipt.connection_id, part.id, receipt.organization_id, receipt.id, alert_id
    event = Readable(*ids, part.outcome.value, receipt.received_at, None, None, receipt.grade)
    return _Said(event, part.copy, alert_of(part))


async def _opened(
    tx: Transaction, keyring: Keyring, batch: _Batch, theirs: Mapping[Place, LockedMember]
) -> list[tuple[LockedMember, list[_Said]]]:
    """What events say that are not with their members yet."""
    wanted = [(member, batch.events[place]) for place, member in theirs.items()]
    there = await repository.events_with(tx, {member.id for member, _ in wanted}, {e.id for _, events in wanted for e in events})
    opened = []
    for member, events in wanted:
        missing = [event for event in events if (member.id, event.id) not in there]
        copies = [(event, await open_copy(tx, keyring, event)) for event in missing]
        opened.append((member, [_Said(event, copy, alert_in(copy)) for event, copy in copies if copy is not None]))
    return opened


async def _bring_events(tx: Transaction, keyring: Keyring, found: Sequence[tuple[LockedMember, Sequence[_Said]]]) -> None:
    """Seal each event again, under its member's key, with the facts that are needed in plain."""
    keys: dict[UUID, bytes] = {}
    rows = []
    for member, said in found:
        for event, copy, told in said:
            if member.id not in keys:
                keys[member.id] = await open_key(tx, keyring, member)
            name = canonical_institution(told.institution) if told.institution else None
            token = await keyring.index(tx, event.organization_id, "institution", name) if name else None
            sealed = crypto.seal(keys[member.id], copy, crypto.place(*sealed_at(member.id, event.id)))
            rows.append(_member_event(event, member.id, told, name, token, sealed))
    await insert_rows(tx, MemberEvent, rows)


def sealed_at(member_id: UUID, event_id: UUID) -> tuple[object, ...]:
    """Where a member's copy of an event is bound to."""
    return ("member_event", "sealed", member_id, event_id)


def _ends(prefix: str, interval: Interval | None) -> dict[str, Any]:
    return {
        f"{prefix}_earliest": interval.earliest if interval else None,
        f"{prefix}_latest": interval.latest if interval else None,
    }


def _member_event(
    event: Readable, member_id: UUID, told: Alert, name: str | None, token: bytes | None, sealed: bytes
) -> dict[str, Any]:
    return {
        "member_id": member_id,
        "event_id": event.id,
        "alert_id": event.alert_id,
        "connection_id": event.connection_id,
        "receipt_id": event.receipt_id,
        "outcome": event.outcome,
        "grade": event.grade,
        "kind": told.kind,
        "product": told.product,
        "bureau": told.bureau,
        "institution": name[:200] if name else None,
        "institution_index": token,
        "last_four": told.last_four,
        "amount": told.amount,
        "currency": told.currency,
        "received_at": event.received_at,
        "details_requested": bool(told.details_requested),
        "completes": _id_of(told.completes),
        "sealed": sealed,
        **_ends("occurred", told.occurred),
        **_ends("opened", told.opened),
        **_ends("reported", told.reported),
    }


def _id_of(text: str | None) -> UUID | None:
    """An id as a person named it; None for what is none of ours anyway."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
