"""Providers' words about breaches, out of their sealed events. Whom they list is found as for alerts: enrolled, and agreed."""

from collections.abc import Sequence
from uuid import UUID

from app.breaches.listings import Description, MemberListing, recorded_at, take
from app.connections import repository as connections
from app.incidents.matching import whose
from app.incidents.models import UnmatchedReason
from app.intake import repository as intake
from app.intake.models import Event, EventOutcome
from app.intake.sealing import open_event
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.ledger.service import Act, append
from app.members import repository as members
from connectors.contract import BreachRecord


async def record(tx: Transaction, keyring: Keyring, organization_id: UUID, events: Sequence[Event]) -> None:
    """Hand on what these events say. Of somebody who is not enrolled or has not agreed nothing is opened: it waits, sealed.

    Safe to repeat, in any order. What a member refused is destroyed, unless it was theirs before or a hold forbids it.
    """
    descriptions: list[Description] = []
    listings: set[MemberListing] = set()
    for event in events:
        if event.outcome != EventOutcome.BREACH_RECORD or event.organization_id != organization_id:
            continue
        if event.reference_index is None:
            told = await _opened(tx, keyring, event)
            if told is not None:
                descriptions.append(Description(told[0], told[1], event.received_at))
            continue
        enrollment, reason, asked = await whose(tx, organization_id, event.connection_id, event.reference_index)
        member_id = enrollment.member_id if enrollment else asked if reason is UnmatchedReason.REFUSED else None
        told = await _opened(tx, keyring, event) if member_id else None
        if member_id is None or told is None:
            continue
        connector, said = told
        listing = MemberListing(member_id, connector, said.breach_name, said.elements)
        if enrollment is not None:
            listings.add(listing)
        else:
            since = await recorded_at(tx, organization_id, listing)
            # What was stored before the refusal was agreed to, and stays theirs.
            if since is None or since < event.received_at:
                await _destroy(tx, keyring, event, member_id)
    await take(tx, keyring, organization_id, descriptions, listings)


async def _opened(tx: Transaction, keyring: Keyring, event: Event) -> tuple[str, BreachRecord] | None:
    """The connector that an event came by, and what it says; None when its key is destroyed."""
    copy = await open_event(tx, keyring, event)
    connection = await connections.connection(tx, event.connection_id)
    if copy is None or connection is None:
        return None
    return connection.connector, BreachRecord.model_validate(copy["alert"])


async def _destroy(tx: Transaction, keyring: Keyring, event: Event, member_id: UUID) -> None:
    if await members.is_held(tx, event.organization_id, member_id):
        return
    reason = UnmatchedReason.REFUSED
    await intake.destroy_keys(tx, event.organization_id, event.connection_id, {event.receipt_id}, {event.id}, reason)
    facts = {"destroyed": "event and receipt keys", "reason": reason}
    await append(tx, keyring, event.organization_id, Act.ERASURE, facts=facts, member_id=member_id, event=event.id)
