"""A receipt cut into parts, and what each part says: everything that can be known of a batch before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from uuid import UUID

from app.intake.models import Event, EventOutcome, Receipt
from app.intake.readers import Reader
from app.intake.sealing import open_asked, open_body, open_event
from app.intake.understanding import Understood, Unsplittable, as_raw, identity_bytes, split, understand
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.scoped import scoped_index
from app.members import repository as members
from app.members.service import reference_index
from connectors.contract import BrokenEvent, Connector, RawEvent

ANSWER = "answer"
"""Under which a connector finds, in `RawEvent.asked`, what a person said of it."""

STRANGER = "about somebody who is not enrolled"
_NORMALISER = f"harmline {version('harmline')}"


@dataclass
class Part:
    """One item of a receipt on its way to be an event. `known`: the event that it was quarantined as before.

    `dedupe_key` finds its alert, where it is one; what becomes of it is written into `outcome`, `reason`, `path`, `alert_id`.
    `copy`: what its event seals of it, as JSON, once that is done.
    """

    receipt: Receipt
    position: int
    item: RawEvent | BrokenEvent
    understood: Understood
    known: Event | None
    id: UUID
    outcome: EventOutcome
    reason: str | None
    path: str | None
    content_hash: bytes | None = None
    reference_index: bytes | None = None
    dedupe_key: bytes | None = None
    alert_id: UUID | None = None
    copy: bytes = b""

    @property
    def is_news(self) -> bool:
        """Whether it is to be told of: not what was quarantined before and still is."""
        return self.known is None or self.outcome is not EventOutcome.QUARANTINED


@dataclass
class Cut:
    """One receipt and its parts, without those that were understood before; `reason`: why it could not be cut."""

    receipt: Receipt
    normaliser: str
    seen_before: bool
    parts: list[Part] = field(default_factory=list)
    reason: str | None = None


async def cut(tx: Transaction, keyring: Keyring, receipt: Receipt, reader: Reader, known: Mapping[int, Event]) -> Cut:
    """Open a receipt, cut it and understand what is new in it. Of what is not understood again only the reason changes."""
    connector = reader.connector
    found = Cut(receipt, f"{connector.name}{reader.edition}, {_NORMALISER}", bool(known))
    try:
        items = await _items(tx, keyring, receipt, connector, known)
    except Unsplittable as error:
        found.reason = str(error)
        return found
    for position, item in items.items():
        before = known.get(position)
        if before is not None and before.outcome != EventOutcome.QUARANTINED:
            continue
        item = await answered(tx, keyring, item, before)
        understood = understand(connector, item)
        if before is not None and understood.outcome is EventOutcome.QUARANTINED:
            before.reason, before.path, before.normaliser = understood.reason, understood.path, found.normaliser
            continue
        found.parts.append(await _part(tx, keyring, receipt, position, item, understood, before))
    if connector.names_strangers:
        await _forget_strangers(tx, found.parts)
    return found


async def _forget_strangers(tx: Transaction, parts: Sequence[Part]) -> None:
    """Leave of whoever is not enrolled only that there was somebody: neither what was said of them nor a hash of who they are."""
    named = {(part.receipt.connection_id, part.reference_index) for part in parts if part.reference_index is not None}
    enrolled = {row.reference_index for row in await members.enrollments_behind(tx, named)}
    for part in parts:
        if part.reference_index is not None and part.reference_index not in enrolled:
            part.understood = Understood(EventOutcome.NON_ALERT, reason=STRANGER)
            part.outcome, part.reason, part.path = EventOutcome.NON_ALERT, STRANGER, None
            part.content_hash = part.reference_index = part.dedupe_key = None
            if part.known is not None:
                part.known.sealed = part.known.wrapped_key = None


async def _items(
    tx: Transaction, keyring: Keyring, receipt: Receipt, connector: Connector, known: Mapping[int, Event]
) -> dict[int, RawEvent | BrokenEvent]:
    """The receipt's events by position: cut anew from its body, or, when its key is destroyed, from the events' own copies."""
    body = await open_body(tx, keyring, receipt)
    if body is not None:
        return dict(enumerate(split(connector, body, await open_asked(tx, keyring, receipt))))
    items: dict[int, RawEvent | BrokenEvent] = {}
    for position, event in known.items():
        copy = await open_event(tx, keyring, event)
        item = as_raw(copy) if copy else None
        if item is not None:
            items[position] = item
    return items


async def answered(
    tx: Transaction, keyring: Keyring, item: RawEvent | BrokenEvent, known: Event | None
) -> RawEvent | BrokenEvent:
    """The item with what a person said it is, where one has."""
    if known is None or known.answered_at is None or not isinstance(item, RawEvent):
        return item
    copy = await open_event(tx, keyring, known)
    said = (copy.get("asked") or {}).get(ANSWER) if copy else None
    return replace(item, asked={**item.asked, ANSWER: said}) if said else item


async def _part(
    tx: Transaction,
    keyring: Keyring,
    receipt: Receipt,
    position: int,
    item: RawEvent | BrokenEvent,
    understood: Understood,
    known: Event | None,
) -> Part:
    part = Part(
        receipt=receipt,
        position=position,
        item=item,
        understood=understood,
        known=known,
        id=known.id if known else uuid7(),
        outcome=understood.outcome or EventOutcome.NEW,
        reason=understood.reason,
        path=understood.path,
    )
    connection_id = receipt.connection_id
    where = receipt.organization_id, connection_id
    if understood.content:
        bound = connection_id.bytes + understood.content
        part.content_hash = await scoped_index(tx, keyring, *where, "event.content", bound)
    if understood.member_ref is not None:
        part.reference_index = await reference_index(tx, keyring, *where, understood.member_ref)
    if understood.alert is not None:
        identity = identity_bytes(connection_id.bytes, understood.alert.identity)
        part.dedupe_key = await scoped_index(tx, keyring, *where, "alert.identity", identity)
    return part
