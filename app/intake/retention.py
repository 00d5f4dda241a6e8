"""Erase the raw data whose term is over, connection by connection. Hash and normalised alert stay.

A legal hold comes before any term; so does what is not understood or not looked up yet: it is kept until it is.
"""

import json
from uuid import UUID

from app.connections.raw_terms import term_in_force
from app.intake import repository
from app.intake.models import Receipt
from app.intake.sealing import erase_body, open_event, seal_event
from app.kit import clock
from app.kit.database import Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import publish
from app.ledger.deletions import Gone, note_deletion
from app.ledger.service import Act, append
from app.members.repository import held_references

RAW_ERASED = "intake.raw_erased"
"""Topic: the provider's own item of the event `event_id` of `connection_id`, alert `alert_id`, is no longer kept."""


async def erase_raw(tx: Transaction, keyring: Keyring, connection_id: UUID, after: UUID, limit: int) -> tuple[UUID | None, int]:
    """Erase one batch of what came over one connection longer ago than its term: the last id seen, and how many."""
    # Looked up with each batch: an admin who has just been told that the term is longer now must not lose anything more.
    term = await term_in_force(tx, connection_id)
    if term is None:
        return None, 0
    rows = await repository.raw_older_than(tx, connection_id, clock.now() - term.after, after, limit)
    erased = 0
    for receipt in rows:
        erased += await _erase_one(tx, keyring, receipt, term.reason)
    return rows[-1].id if rows else None, erased


async def _erase_one(tx: Transaction, keyring: Keyring, receipt: Receipt, reason: str) -> bool:
    events = await repository.events_of(tx, receipt.connection_id, receipt.id)
    held = await held_references(tx, receipt.organization_id, receipt.connection_id)
    if held is None or receipt.about_index in held or any(event.reference_index in held for event in events):
        return False
    for event in events:
        copy = await open_event(tx, keyring, event)
        if copy is None:
            continue
        bare = {**copy, "body": None, "asked": {}}
        sealed = await seal_event(tx, keyring, event.organization_id, event.id, json.dumps(bare).encode())
        event.sealed, event.wrapped_key = sealed
        event.raw_erased_at = clock.now()
        if event.alert_id is not None:
            where = {"connection_id": event.connection_id, "event_id": event.id, "alert_id": event.alert_id}
            await publish(tx, RAW_ERASED, event.organization_id, **where)
    await erase_body(tx, keyring, receipt)
    note_deletion(tx, receipt.organization_id, Gone.BODY, 1, reason, {"connection": receipt.connection_id, "receipt": receipt.id})
    facts = {"destroyed": f"the body: {reason}", "events": len(events)}
    ids = (receipt.connection_id, receipt.id)
    await append(tx, keyring, receipt.organization_id, Act.ERASURE, facts=facts, connection=ids[0], receipt=ids[1])
    return True
