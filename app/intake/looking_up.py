"""Notices that only say "go and look": each thing is looked up once, and only for people who are enrolled and agreed."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from app.connections import polls
from app.intake import look_ups
from app.intake import repository as intake
from app.intake.models import LookUp, LookUpState, Receipt
from app.intake.understanding import identity_bytes
from app.kit import clock
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.kit.scoped import scoped_index
from app.ledger.service import Act, Actor, append
from app.members import repository as members
from app.members.service import CONSENT_MISSING, consents_to, who_agreed
from connectors.contract import GoAndLook
from connectors.verifiers import Grade

AGAIN_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""A notice may come before the provider's own store knows the alert: then we ask again, this often and this late."""

LATER_STILL = tuple(timedelta(days=days) for days in (0.25, 1, 3, 7, 14, 30))
"""And then still, where the notice proves itself: the alert is real, and whoever believes the provider too soon loses it."""

LONGEST_WAIT = timedelta(days=90)
PAGE = 100
MOST_MISSES = 100
MISSES_WITHIN = timedelta(days=1)
"""How many look-ups of unproven notices may come back empty in a day: more, and somebody makes them up."""


async def note(
    tx: Transaction, keyring: Keyring, receipt: Receipt, event_id: UUID, reference_index: bytes | None, look: GoAndLook
) -> None:
    """Write down what a notice speaks of, once. Another notice of it changes nothing, unless it proves more than the first."""
    organization_id, connection_id = receipt.organization_id, receipt.connection_id
    identity = identity_bytes(connection_id.bytes, look.identity)
    key = await scoped_index(tx, keyring, organization_id, connection_id, "look_up.identity", identity)
    reference = reference_index or b""
    trusted = receipt.grade != Grade.UNVERIFIABLE
    agreed = await who_agreed(tx, organization_id, connection_id, {reference})
    values = {
        "connection_id": connection_id,
        "key": key,
        "organization_id": organization_id,
        "event_id": event_id,
        "reference_index": reference,
        "state": LookUpState.DUE if agreed else LookUpState.WAITING,
        "trusted": trusted,
        "due_at": clock.now() if agreed else None,
        "attempts": 0,
    }
    state = await look_ups.insert(tx, values, late=len(AGAIN_AFTER))
    if state == LookUpState.DUE:
        await polls.look_ups_due(tx, connection_id, clock.now())
    elif state == LookUpState.WAITING:
        await ask_or_let_go(tx, keyring, await look_ups.row(tx, connection_id, key))


async def ask_or_let_go(tx: Transaction, keyring: Keyring, row: LookUp) -> None:
    """What waits for somebody's consent: they are asked, without content; after a no it is destroyed."""
    claimed = await members.enrollments_of(tx, row.organization_id, row.connection_id, row.reference_index)
    answers = {one.member_id: await consents_to(tx, one.member_id, row.connection_id, clock.now()) for one in claimed}
    for member_id, answer in answers.items():
        if answer is None:
            await publish(tx, CONSENT_MISSING, row.organization_id, member_id=member_id, connection_id=row.connection_id)
    refused = answers and not any(answer is not False for answer in answers.values())
    if refused and not await _taken_back(tx, row):
        await _let_go(tx, keyring, row, "refused")


async def _taken_back(tx: Transaction, row: LookUp) -> bool:
    """Whether only a caseworker had said whose it is: it may be somebody else's, and goes back to the queue for as long again."""
    claimed = await members.enrollments_of(tx, row.organization_id, row.connection_id, row.reference_index)
    where = (row.connection_id, row.reference_index)
    taken = [await members.take_back(tx, enrollment.member_id, *where) for enrollment in claimed]
    if not any(taken):
        return False
    await look_ups.wait_anew(tx, *where, clock.now())
    return True


async def wake(tx: Transaction, keyring: Keyring, organization_id: UUID, member_ids: Collection[UUID]) -> None:
    """Look up what waited for an enrollment or a consent of these members; who said no is asked about no further."""
    for connection_id in await _refused(tx, member_ids):
        await polls.end_turn(tx, connection_id)
    waiting = await look_ups.waiting_for(tx, organization_id, member_ids)
    for connection_id in sorted({row.connection_id for row in waiting}):
        here = [row for row in waiting if row.connection_id == connection_id]
        agreed = await who_agreed(tx, organization_id, connection_id, {row.reference_index for row in here})
        references = {enrollment.reference_index for enrollment, _ in agreed}
        if references:
            await look_ups.set_due(tx, connection_id, references, clock.now())
            await polls.look_ups_due(tx, connection_id, clock.now())
        for row in here:
            if row.reference_index not in references:
                await ask_or_let_go(tx, keyring, row)


async def _refused(tx: Transaction, member_ids: Collection[UUID]) -> list[UUID]:
    """The connections for which one of these members said no."""
    known = {
        (enrollment.member_id, enrollment.connection_id)
        for member_id in member_ids
        for enrollment in await members.enrollments_of_member(tx, member_id)
    }
    return sorted({where for who, where in known if await consents_to(tx, who, where, clock.now()) is False})


async def give_up(tx: Transaction, keyring: Keyring) -> int:
    """Destroy the notices that have waited 90 days for an enrollment or a consent; hash and reason stay. How many it were."""
    given_up, after = 0, b""
    returned: set[tuple[UUID, bytes]] = set()
    while rows := await look_ups.waiting_since(tx, clock.now() - LONGEST_WAIT, after, PAGE):
        for row in rows:
            where = (row.connection_id, row.reference_index)
            if where in returned or await _taken_back(tx, row):
                returned.add(where)
                continue
            given_up += await _let_go(tx, keyring, row, "nobody agreed in time")
        after = rows[-1].key
    return given_up


async def _let_go(tx: Transaction, keyring: Keyring, row: LookUp, reason: str) -> bool:
    claimed = await members.enrollments_of(tx, row.organization_id, row.connection_id, row.reference_index)
    for enrollment in claimed:
        if await members.is_held(tx, row.organization_id, enrollment.member_id):
            return False
    event = await intake.event(tx, row.connection_id, row.event_id)
    if event is not None:
        await intake.destroy_keys(tx, row.organization_id, row.connection_id, {event.receipt_id}, {event.id}, reason)
    row.state, row.due_at = LookUpState.GIVEN_UP, None
    facts = {"destroyed": "event and receipt keys of a notice", "reason": reason}
    await append(tx, keyring, row.organization_id, Act.ERASURE, facts=facts, connection=row.connection_id)
    return True


async def forget(tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, reference: bytes) -> None:
    """After an erasure: destroy the keys of everything that came in under a reference, and forget how far it was asked about."""
    receipts, events = await intake.kept_about(tx, connection_id, reference)
    await intake.destroy_keys(tx, organization_id, connection_id, receipts, events, "member erased")
    await look_ups.forget(tx, connection_id, reference)
    await polls.forget_subjects(tx, connection_id, [reference])
    await polls.end_turn(tx, connection_id)
    facts = {"destroyed": "receipt and event keys of a reference", "receipts": len(receipts), "events": len(events)}
    await append(tx, keyring, organization_id, Act.ERASURE, facts=facts, connection=connection_id)


def after_a_miss(row: LookUp) -> None:
    """The provider does not know it: ask again later, and in the end let a person see it, where the notice proves itself."""
    waits = AGAIN_AFTER + LATER_STILL if row.trusted else AGAIN_AFTER
    row.attempts, row.failures, row.asked_at = row.attempts + 1, 0, clock.now()
    if row.attempts <= len(waits):
        row.due_at = clock.now() + waits[row.attempts - 1]
    else:
        row.state, row.due_at = LookUpState.UNKNOWN, None


async def ask_again(tx: Transaction, keyring: Keyring, organization_id: UUID, event_id: UUID, actor: Actor) -> None:
    """A person lets a notice be looked up again that the provider did not know. Raises a 404 Problem."""
    row = await _not_found(tx, organization_id, event_id)
    row.state, row.due_at, row.attempts = LookUpState.DUE, clock.now(), 0
    await polls.look_ups_due(tx, row.connection_id, clock.now())
    await _noted(tx, keyring, row, actor, "asked for again")


async def leave(tx: Transaction, keyring: Keyring, organization_id: UUID, event_id: UUID, actor: Actor) -> None:
    """A person decides that nothing comes of a notice; it is kept, and looked up when it is told again. Raises a 404 Problem."""
    row = await _not_found(tx, organization_id, event_id)
    row.state, row.due_at = LookUpState.LEFT, None
    await _noted(tx, keyring, row, actor, "left as it is")


async def _not_found(tx: Transaction, organization_id: UUID, event_id: UUID) -> LookUp:
    row = await look_ups.not_found(tx, organization_id, event_id)
    if row is None:
        raise not_found()
    return row


async def _noted(tx: Transaction, keyring: Keyring, row: LookUp, actor: Actor, change: str) -> None:
    where = (row.organization_id, Act.REPLAY)
    await append(tx, keyring, *where, facts={"notice": change}, actor=actor, event=row.event_id, connection=row.connection_id)
