"""What would become of what came already, if a connection read by another document. Nothing is written but that it was tried.

Whoever tries one out learns which events would be told otherwise, by id, and never what stands in them.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from app.connections import documents
from app.connections import repository as connections
from app.intake import repository
from app.intake.models import Event, EventOutcome
from app.intake.parts import answered
from app.intake.readers import reader
from app.intake.schemas import Change, Preview
from app.intake.sealing import open_asked, open_body, open_event
from app.intake.understanding import FOR_A_PERSON, Understood, Unsplittable, as_raw, split, understand
from app.kit.database import Transaction
from app.kit.errors import not_found
from app.kit.keyring import Keyring
from app.ledger.service import Act, Actor, append
from app.members.enrolling import Addressed, agreed_behind
from connectors.contract import BrokenEvent, Connector, RawEvent
from connectors.registry import registry

MOST_READ = 200
MOST_LOOKED_AT = 2_000
"""Events among which those are looked for whose members agreed."""

LARGEST = 32 * 1024 * 1024
"""Bytes of receipts that are opened for one preview; what is beyond is not read."""

Item = RawEvent | BrokenEvent


async def preview(
    tx: Transaction, keyring: Keyring, organization_id: UUID, connection_id: UUID, *, name: str, text: str, actor: Actor
) -> Preview:
    """How the newest events whose members agreed would be read with this document. Raises a 404 or 422 Problem."""
    row = await connections.connection_of(tx, organization_id, connection_id)
    if row is None:
        raise not_found()
    texts = (await documents.present(tx, [connection_id])).get(connection_id, {})
    documents.require_readable(row.connector, texts, name, text)
    present = reader(row.connector, texts).connector
    other = registry()[row.connector].reading_by({**texts, name: text})
    items = await _items(tx, keyring, connection_id, present)
    before, after = await asyncio.to_thread(lambda: (_labels(present, items), _labels(other, items)))
    changes = [
        Change(event_id=event.id, received_at=event.received_at, before=was, after=becomes)
        for (event, _), was, becomes in zip(items, before, after, strict=True)
        if was != becomes
    ]
    facts = {"change": "document tried", "document": name, "events": len(items)}
    await append(tx, keyring, organization_id, Act.CONNECTION, facts=facts, actor=actor, connection=connection_id)
    return Preview(read=len(items), before=dict(Counter(before)), after=dict(Counter(after)), changes=changes)


async def _items(tx: Transaction, keyring: Keyring, connection_id: UUID, connector: Connector) -> list[tuple[Event, Item]]:
    found = await repository.newest_events(tx, connection_id, MOST_LOOKED_AT)
    named = {
        event.id: Addressed(connection_id, index, event.received_at)
        for event, about in found
        if (index := event.reference_index or about)
    }
    agreed = await agreed_behind(tx, named)
    left = LARGEST
    items: list[tuple[Event, Item]] = []
    for event, _ in found:
        if event.id not in agreed or len(items) == MOST_READ or left <= 0:
            continue
        item, size = await _item(tx, keyring, event, connector)
        left -= size
        if item is not None:
            items.append((event, await answered(tx, keyring, item, event)))
    return items


async def _item(tx: Transaction, keyring: Keyring, event: Event, connector: Connector) -> tuple[Item | None, int]:
    """An event as it was cut: its own copy, or else out of its receipt; with how many bytes were opened for it."""
    copy = await open_event(tx, keyring, event)
    if copy is not None:
        return as_raw(copy), len(event.sealed or b"")
    received = await repository.receipt(tx, event.receipt_id)
    body = await open_body(tx, keyring, received[0]) if received is not None else None
    if received is None or body is None:
        return None, 0
    try:
        return split(connector, body, await open_asked(tx, keyring, received[0]))[event.position], len(body)
    except (Unsplittable, IndexError):
        return None, len(body)


def _labels(connector: Connector, items: Sequence[tuple[Event, Item]]) -> list[str]:
    return [_label(understand(connector, item)) for _, item in items]


def _label(understood: Understood) -> str:
    """What something is taken for, in a word of ours or of whoever wrote the document."""
    if understood.alert is not None:
        return understood.alert.kind.value
    if understood.outcome is EventOutcome.NON_ALERT:
        return f"no alert: {understood.reason}"
    if understood.outcome is EventOutcome.BREACH_RECORD:
        return "breach record"
    return FOR_A_PERSON if understood.path == FOR_A_PERSON else "not understood"
