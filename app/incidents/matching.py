"""Find out whose alert it is: by enrollment, with consent, or it waits in the queue, sealed and readable by no role."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from app.incidents import repository
from app.incidents.institutions import canonical_institution
from app.incidents.models import MemberAlert, MemberEvent, Unmatched, UnmatchedReason
from app.intake import repository as intake
from app.intake.models import AlertRow, Event
from app.intake.sealing import open_event
from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.ledger.service import Act, append
from app.members import repository as members
from app.members.keys import open_key, seal_json
from app.members.models import Enrollment, Member
from app.members.service import CONSENT_MISSING, consents_to
from connectors.contract import Alert, Interval

LONGEST_WAIT = timedelta(days=90)
PAGE = 100


async def match(tx: Transaction, keyring: Keyring, connection_id: UUID, alert_id: UUID) -> UUID | None:
    """Match one alert, with all its events that are not with the member yet; returns the member, or None: it waits."""
    alert = await intake.alert(tx, connection_id, alert_id)
    if alert is None:
        return None
    known = await repository.match_of(tx, connection_id, alert_id)
    if not await _unbrought(tx, alert, known.member_id if known else None):
        return known.member_id if known else None
    reference = (alert.organization_id, alert.connection_id, alert.reference_index)
    found, reason, asked = await (whose(tx, *reference) if known is None else _still(tx, alert, known))
    if found is None:
        await _wait(tx, keyring, alert, reason, asked)
        return None
    member = await members.member(tx, alert.organization_id, found.member_id, lock=True)
    if member is None or member.wrapped_key is None:
        return None
    if isinstance(found, Enrollment):
        await _write_match(tx, keyring, alert, found)
    await _bring_events(tx, keyring, alert, member)
    waiting = await repository.unmatched(tx, alert.connection_id, alert.id)
    if waiting is not None and waiting.closed_at is None:
        waiting.closed_at = clock.now()
    return found.member_id


async def _unbrought(tx: Transaction, alert: AlertRow, member_id: UUID | None) -> list[Event]:
    """The alert's events that can still be opened and are not with this member."""
    events = await intake.alert_events(tx, alert.connection_id, alert.id)
    readable = [event for event in events if event.wrapped_key is not None]
    if member_id is None:
        return readable
    return [event for event in readable if not await repository.has_event(tx, member_id, event.id)]


async def _still(tx: Transaction, alert: AlertRow, known: MemberAlert) -> tuple[MemberAlert | None, UnmatchedReason, UUID | None]:
    """A matched alert's new events need consent like the first: it may have run out or been taken back meanwhile."""
    consents = await consents_to(tx, known.member_id, alert.connection_id, clock.now())
    reason = UnmatchedReason.REFUSED if consents is False else UnmatchedReason.NO_CONSENT
    return known if consents else None, reason, known.member_id


async def whose(
    tx: Transaction, organization_id: UUID, connection_id: UUID, reference_index: bytes
) -> tuple[Enrollment | None, UnmatchedReason, UUID | None]:
    """The enrollment by which something is somebody's; else why it is nobody's, and whom to ask for consent."""
    enrollments = await members.enrollments_of(tx, organization_id, connection_id, reference_index)
    if not enrollments:
        return None, UnmatchedReason.NO_ENROLLMENT, None
    if len(enrollments) > 1:
        return None, UnmatchedReason.SEVERAL_MEMBERS, None
    one = enrollments[0]
    consents = await consents_to(tx, one.member_id, connection_id, clock.now())
    if consents is None:
        return None, UnmatchedReason.NO_CONSENT, one.member_id
    if not consents:
        return None, UnmatchedReason.REFUSED, one.member_id
    return one, UnmatchedReason.NO_ENROLLMENT, None


async def _wait(tx: Transaction, keyring: Keyring, alert: AlertRow, reason: UnmatchedReason, asked: UUID | None) -> None:
    row = await repository.unmatched(tx, alert.connection_id, alert.id)
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
    row.reason, row.member_id = reason, asked
    await tx.flush()
    if reason is UnmatchedReason.REFUSED:
        await give_up(tx, keyring, row, UnmatchedReason.REFUSED)
    elif reason is UnmatchedReason.NO_CONSENT and asked is not None:
        await publish(tx, CONSENT_MISSING, alert.organization_id, member_id=asked, connection_id=alert.connection_id)


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
    await intake.destroy_keys(tx, row.connection_id, {e.receipt_id for e in events}, {e.id for e in events})
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


async def _write_match(tx: Transaction, keyring: Keyring, alert: AlertRow, enrollment: Enrollment) -> None:
    now = clock.now()
    tx.add(
        MemberAlert(
            member_id=enrollment.member_id,
            alert_id=alert.id,
            organization_id=alert.organization_id,
            connection_id=alert.connection_id,
            enrollment_id=enrollment.id,
            grade=alert.grade,
            first_received_at=alert.first_received_at,
            matched_at=now,
        )
    )
    await append(
        tx,
        keyring,
        alert.organization_id,
        Act.MATCH,
        facts={"enrollment": str(enrollment.id)},
        member_id=enrollment.member_id,
        alert=alert.id,
    )


async def _bring_events(tx: Transaction, keyring: Keyring, alert: AlertRow, member: Member) -> None:
    """Seal each event of the alert again, under the member's key, with the facts that are needed in plain."""
    key = await open_key(tx, keyring, member)
    for event in await intake.alert_events(tx, alert.connection_id, alert.id):
        if await repository.has_event(tx, member.id, event.id):
            continue
        copy = await open_event(tx, keyring, event)
        if copy is None:
            continue
        told = Alert.model_validate(copy["alert"])
        name = canonical_institution(told.institution) if told.institution else None
        token = await keyring.index(tx, alert.organization_id, "institution", name) if name else None
        grade = await intake.grade_of_receipt(tx, event.connection_id, event.receipt_id)
        tx.add(_member_event(event, member.id, told, name, token, grade, seal_json(key, copy, *sealed_at(member.id, event.id))))
    await tx.flush()


def sealed_at(member_id: UUID, event_id: UUID) -> tuple[object, ...]:
    """Where a member's copy of an event is bound to."""
    return ("member_event", "sealed", member_id, event_id)


def _ends(prefix: str, interval: Interval | None) -> dict[str, Any]:
    return {
        f"{prefix}_earliest": interval.earliest if interval else None,
        f"{prefix}_latest": interval.latest if interval else None,
    }


def _member_event(
    event: Event, member_id: UUID, told: Alert, name: str | None, token: bytes | None, grade: str, sealed: bytes
) -> MemberEvent:
    return MemberEvent(
        member_id=member_id,
        event_id=event.id,
        alert_id=event.alert_id,
        connection_id=event.connection_id,
        receipt_id=event.receipt_id,
        outcome=event.outcome,
        grade=grade,
        kind=told.kind,
        product=told.product,
        bureau=told.bureau,
        institution=name[:200] if name else None,
        institution_index=token,
        last_four=told.last_four,
        amount=told.amount,
        currency=told.currency,
        received_at=event.received_at,
        sealed=sealed,
        **_ends("occurred", told.occurred),
        **_ends("opened", told.opened),
        **_ends("reported", told.reported),
    )
