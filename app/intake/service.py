"""Use cases of intake besides receiving and handling: trace, try one receipt again, and the accounts."""

from typing import Any
from uuid import UUID

from app.intake import handling, look_ups, repository
from app.intake.models import EventOutcome, Receipt, ReceiptState
from app.intake.schemas import Accounts
from app.intake.sealing import open_headers
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.errors import Problem, not_found
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append


async def trace(tx: Transaction, context: Context, receipt_id: UUID) -> dict[str, Any] | None:
    """The whole story of one receipt: how it came, what proved it, what became of each event. No content."""
    found = await repository.receipt(tx, receipt_id)
    if found is None:
        return None
    receipt, connection = found
    headers = await open_headers(tx, context.keyring, receipt)
    return {
        "receipt": str(receipt.id),
        "connection": {"id": str(connection.id), "connector": connection.connector, "title": connection.title},
        "received_at": receipt.received_at.isoformat(),
        "last_received_at": receipt.last_received_at.isoformat(),
        "repeats": receipt.repeats,
        "channel": receipt.channel,
        "verification": receipt.verification,
        "headers_kept": sorted(headers) if headers else None,
        "grade": receipt.grade,
        "readable": receipt.wrapped_key is not None,
        "state": receipt.state,
        "reason": receipt.reason,
        "handled_at": receipt.handled_at.isoformat() if receipt.handled_at else None,
        "events": [
            {
                "event": str(event.id),
                "position": event.position,
                "outcome": event.outcome,
                "alert": str(event.alert_id) if event.alert_id else None,
                "reason": event.reason,
                "path": event.path,
                "normaliser": event.normaliser,
            }
            for event in await repository.events_of(tx, connection.id, receipt.id)
        ],
    }


async def try_again(tx: Transaction, keyring: Keyring, organization_id: UUID, receipt_id: UUID, actor: Actor) -> int:
    """Handle one receipt again that was set aside, whole or in part; how many of its parts are still not understood.

    What was understood before stays as it is; a stale one is taken as it is: a person has decided so. Raises a 404 Problem,
    or a 409 Problem when nothing of it waits.
    """
    found = await repository.receipt(tx, receipt_id, lock=True)
    if found is None or found[0].organization_id != organization_id:
        raise not_found()
    receipt, connection = found
    aside = (ReceiptState.UNSPLITTABLE, ReceiptState.STALE)
    if receipt.state not in aside and not await _quarantined(tx, receipt):
        raise Problem(409, "Nothing of this delivery waits any more. Open the queue again.")
    before = receipt.state
    await handling.handle(tx, keyring, receipt, connection)
    facts = {"before": before, "after": receipt.state}
    await append(tx, keyring, organization_id, Act.REPLAY, facts=facts, actor=actor, receipt=receipt.id)
    return 1 if receipt.state in aside else await _quarantined(tx, receipt)


async def _quarantined(tx: Transaction, receipt: Receipt) -> int:
    events = await repository.events_of(tx, receipt.connection_id, receipt.id)
    return sum(event.outcome == EventOutcome.QUARANTINED for event in events)


async def accounts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> Accounts:
    """The accounts of one organization, or of one of its connections.

    Refusals without a known connection belong to nobody and are counted apart.
    """
    receipts = await repository.receipt_counts(tx, organization_id, connection_id)
    events = await repository.event_counts(tx, organization_id, connection_id)
    refused = await repository.refusal_counts(tx, organization_id, connection_id)
    by_state = {state: count for state, count, _ in receipts}
    kept, repeats = sum(by_state.values()), sum(count for _, _, count in receipts)
    return Accounts(
        deliveries=kept + repeats + sum(refused.values()),
        receipts=kept,
        repeats=repeats,
        refused=refused,
        waiting=by_state.get(ReceiptState.STORED, 0),
        stale=by_state.get(ReceiptState.STALE, 0),
        unsplittable=by_state.get(ReceiptState.UNSPLITTABLE, 0),
        events=sum(events.values()),
        new=events.get(EventOutcome.NEW, 0),
        sightings=events.get(EventOutcome.SIGHTING, 0),
        revisions=events.get(EventOutcome.REVISION, 0),
        non_alerts=events.get(EventOutcome.NON_ALERT, 0),
        breach_records=events.get(EventOutcome.BREACH_RECORD, 0),
        handed_on=events.get(EventOutcome.HANDED_ON, 0),
        quarantined=events.get(EventOutcome.QUARANTINED, 0),
        alerts=await repository.alert_count(tx, organization_id, connection_id),
        look_ups=await look_ups.counts(tx, organization_id, connection_id),
    )
