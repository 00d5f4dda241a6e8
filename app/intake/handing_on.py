"""A message inside a delivery becomes a receipt of its own: a mail that a service brought, or that is attached to another.

What proves it may stand in the DNS, and is asked for before it changes there; so this is no part of handling, which waits for
nobody.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from dns.asyncresolver import Resolver

from app.connections import repository as connections
from app.intake import hand_ons, receive, repository
from app.intake import understanding as reading
from app.intake.models import Channel, HandedOn
from app.intake.parts import Part
from app.intake.readers import readers_of
from app.intake.receive import Arrival
from app.intake.sealing import open_asked, open_body
from app.kit import clock, dns
from app.kit.at_once import store_is_away
from app.kit.context import Context
from app.kit.database import Transaction
from app.kit.rows import insert_rows
from app.members.service import reference_index
from connectors.contract import Connector, HandOn, RawEvent
from connectors.registry import registry
from connectors.verifiers import Verification

log = structlog.get_logger(__name__)

AT_ONCE = 20
AGAIN_AFTER = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""How long the DNS is waited for, again and again; then the message is taken in without its keys, and graded as it is.

What fails in any other way is tried again as often, and then every hour: it is never given up.
"""

WITHOUT_CONNECTION = timedelta(hours=1)
KEYS, KEYS_MISSING = "keys", "keys_missing"
TO = "to"
"""Whom it was sent to, as the enrollment on the connection that takes it knows them: by it, it goes when they are erased."""

GONE = "its bytes are gone"


@dataclass(frozen=True, slots=True)
class _Message:
    """What is handed on, ready to be kept. `why_not`: why nothing can be."""

    to: str = ""
    body: bytes = field(default=b"", repr=False)
    asked: dict[str, str] = field(default_factory=dict, repr=False)
    proof: Verification | None = None
    why_not: str | None = None


async def note(tx: Transaction, parts: Sequence[Part]) -> None:
    """Write down what is to be handed on, in the transaction in which it was found."""
    now = clock.now()
    rows = [
        {
            "connection_id": part.receipt.connection_id,
            "event_id": part.id,
            "organization_id": part.receipt.organization_id,
            "due_at": now,
            "attempts": 0,
        }
        for part in parts
    ]
    await insert_rows(tx, HandedOn, rows)


async def hand_on(context: Context, asked: Resolver) -> int:
    """Hand on what is due, each message in a transaction of its own; how many were looked at."""
    async with context.database.begin(read_only=True) as tx:
        due = await hand_ons.due(tx, clock.now(), AT_ONCE)
    await asyncio.gather(*(_one(context, asked, connection_id, event_id, attempts) for connection_id, event_id, attempts in due))
    return len(due)


async def _one(context: Context, asked: Resolver, connection_id: UUID, event_id: UUID, attempts: int) -> None:
    """One message, which must not stand in the way of the others: whatever goes wrong with it, it is tried again later."""
    try:
        message = await _message(context, asked, connection_id, event_id, patient=attempts < len(AGAIN_AFTER))
        async with context.database.begin() as tx:
            await _settle(tx, context, await hand_ons.row(tx, connection_id, event_id), message)
    except dns.NoAnswer:
        await _later(context, connection_id, event_id, attempts, "the DNS does not answer")
    except Exception as error:  # a mistake of ours or of a connector is one message's own: it is kept, shown and tried again
        if store_is_away(error):
            raise
        log.error("not handed on yet", connection=str(connection_id), event_id=str(event_id), error=type(error).__name__)
        await _later(context, connection_id, event_id, attempts, f"handing on failed: {type(error).__name__}")


async def _later(context: Context, connection_id: UUID, event_id: UUID, attempts: int, reason: str) -> None:
    async with context.database.begin() as tx:
        row = await hand_ons.row(tx, connection_id, event_id)
        if row.due_at is not None and row.attempts == attempts:
            row.due_at = clock.now() + AGAIN_AFTER[min(attempts, len(AGAIN_AFTER) - 1)]
            row.attempts, row.reason = attempts + 1, reason[:80]


async def _message(context: Context, asked: Resolver, connection_id: UUID, event_id: UUID, *, patient: bool) -> _Message:
    """The message, with what proves it. Raises NoAnswer while it is worth waiting for the DNS."""
    async with context.database.begin(read_only=True) as tx:
        found = await _found(tx, context, connection_id, event_id)
    if not isinstance(found, HandOn):
        return _Message(why_not=found)
    target = registry().get(found.to)
    if target is None:
        return _Message(why_not="no connector takes it")
    beside = dict(found.asked)
    names = await asyncio.to_thread(target.names_to_ask, found.body)
    if names:
        try:
            beside[KEYS] = json.dumps(await dns.txt(asked, names), sort_keys=True)
        except dns.NoAnswer:
            if patient:
                raise
            beside[KEYS_MISSING] = "the DNS did not answer"
    return _Message(found.to, found.body, beside, await asyncio.to_thread(target.proof_of, found.body, beside))


async def _found(tx: Transaction, context: Context, connection_id: UUID, event_id: UUID) -> HandOn | str:
    """What an event hands on, cut anew out of its receipt; else why it cannot be had."""
    event = await repository.event(tx, connection_id, event_id)
    found = await repository.receipt(tx, event.receipt_id) if event is not None else None
    if event is None or found is None:
        return GONE
    receipt, connection = found
    body = await open_body(tx, context.keyring, receipt)
    if body is None:
        return GONE
    beside = await open_asked(tx, context.keyring, receipt)
    reader = (await readers_of(tx, [connection]))[connection.id]
    return await asyncio.to_thread(_cut_out, reader.connector, body, beside, event.position)


def _cut_out(connector: Connector, body: bytes, beside: dict[str, str], position: int) -> HandOn | str:
    try:
        item = reading.split(connector, body, beside)[position]
    except (reading.Unsplittable, IndexError):
        return "it is cut in another way now"
    understood = reading.understand(connector, item) if isinstance(item, RawEvent) else None
    handed = understood.handed if understood is not None else None
    return handed if handed is not None else "it is no message any more"


async def _settle(tx: Transaction, context: Context, row: HandedOn, message: _Message) -> None:
    """Keep it, once, and say so on the row, in one transaction."""
    if row.due_at is None:
        return
    if message.proof is None:
        row.due_at, row.reason = None, message.why_not
        log.warning("nothing handed on", connection=str(row.connection_id), reason=message.why_not)
        return
    target = await connections.open_one(tx, row.organization_id, message.to)
    if target is None:
        row.due_at, row.reason = clock.now() + WITHOUT_CONNECTION, f"no connection of {message.to}"[:80]
        return
    whose = message.asked.get(TO)
    about = await reference_index(tx, context.keyring, row.organization_id, target.id, whose) if whose else None
    proof, asked = message.proof, message.asked
    arrival = Arrival(message.body, proof, Channel.HANDED_ON, asked=asked, about_index=about, answers_event=row.event_id)
    kept = await receive.keep(tx, context.keyring, target, arrival)
    row.due_at, row.reason, row.receipt_id = None, None, kept.receipt_id
