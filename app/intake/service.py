"""Use cases of intake besides receiving and handling: trace, and the accounts."""

from typing import Any
from uuid import UUID

from app.intake import repository
from app.intake.models import EventOutcome, ReceiptState
from app.intake.schemas import Accounts
from app.intake.sealing import open_headers
from app.kit.context import Context
from app.kit.database import Transaction


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


async def accounts(tx: Transaction, organization_id: UUID) -> Accounts:
    """The accounts of one organization. Refusals without a known connection belong to nobody and are counted apart."""
    receipts = await repository.receipt_counts(tx, organization_id)
    events = await repository.event_counts(tx, organization_id)
    refused = await repository.refusal_counts(tx, organization_id)
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
        quarantined=events.get(EventOutcome.QUARANTINED, 0),
        alerts=await repository.alert_count(tx, organization_id),
    )
