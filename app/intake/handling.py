"""From stored receipts to alerts: repeatable, by any process, one transaction a batch. A bad event spares its neighbours."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from app.connections.models import Connection
from app.intake import looking_up, repository
from app.intake.models import Event, EventOutcome, Receipt, ReceiptState
from app.intake.sealing import open_asked, open_body, open_event, seal_event
from app.intake.understanding import (
    KEY_VERSION,
    Understood,
    Unsplittable,
    as_raw,
    identity_bytes,
    split,
    to_keep,
    understand,
)
from app.kit import clock
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.outbox import RECEIPTS, publish
from app.ledger.service import Act, append
from app.members.service import reference_index
from connectors.contract import Alert, BrokenEvent, Connector, RawEvent
from connectors.registry import registry

log = structlog.get_logger(__name__)

ALERT_SEEN = "intake.alert_seen"
BREACH_RECORD_SEEN = "intake.breach_record_seen"
"""Topic: the event `event_id` of `connection_id` says something about a breach."""
OTHER_PERSON = "the id of an alert about somebody else"
_NORMALISER = f"harmline {version('harmline')}"


async def handle(tx: Transaction, keyring: Keyring, receipt: Receipt, connection: Connection) -> None:
    """Handle one receipt inside a savepoint: if our code or the database refuses it, it is set aside and the others go on."""
    try:
        async with tx.begin_nested():
            await _handle(tx, keyring, receipt, connection)
    except (OperationalError, InterfaceError):
        raise  # the store is away: nothing is wrong with the receipt, the next round takes it again
    except Exception as error:  # our own mistake must not lose or block anything: set aside, alarm, replay after the fix
        log.error("receipt set aside", receipt=str(receipt.id), error=type(error).__name__)
        receipt.state, receipt.reason = ReceiptState.UNSPLITTABLE, f"handling failed: {type(error).__name__}"
        await tx.flush()


async def _handle(tx: Transaction, keyring: Keyring, receipt: Receipt, connection: Connection) -> None:
    connector = registry()[connection.connector]
    known = {event.position: event for event in await repository.events_of(tx, connection.id, receipt.id)}
    try:
        items = await _items(tx, keyring, receipt, connector, known)
    except Unsplittable as error:
        receipt.state, receipt.reason = ReceiptState.UNSPLITTABLE, str(error)
        await tx.flush()
        return
    job = _Job(tx, keyring, receipt, connector)
    told = [await job.event(position, item, known.get(position)) for position, item in items.items()]
    receipt.state, receipt.reason, receipt.handled_at = ReceiptState.HANDLED, None, clock.now()
    facts = {"events": [entry for entry in told if entry], "normaliser": job.normaliser}
    if facts["events"] or not known:
        await append(
            tx,
            keyring,
            receipt.organization_id,
            Act.NORMALISATION,
            facts=facts,
            receipt=receipt.id,
            connection=connection.id,
        )


async def _items(
    tx: Transaction, keyring: Keyring, receipt: Receipt, connector: Connector, known: dict[int, Event]
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


@dataclass
class _Job:
    """One receipt on its way through the normaliser."""

    tx: Transaction
    keyring: Keyring
    receipt: Receipt
    connector: Connector

    @property
    def normaliser(self) -> str:
        return f"{self.connector.name}, {_NORMALISER}"

    async def event(self, position: int, item: RawEvent | BrokenEvent, known: Event | None) -> dict[str, Any] | None:
        """Write one event, or try again one that was quarantined; one that was understood stays as it is."""
        if known is not None and known.outcome != EventOutcome.QUARANTINED:
            return None
        understood = understand(self.connector, item)
        if known is not None and understood.outcome is EventOutcome.QUARANTINED:
            known.reason, known.path, known.normaliser = understood.reason, understood.path, self.normaliser
            return None
        event = known or Event(
            id=uuid7(),
            connection_id=self.receipt.connection_id,
            organization_id=self.receipt.organization_id,
            receipt_id=self.receipt.id,
            position=position,
            received_at=self.receipt.received_at,
        )
        await self._fill(event, item, understood)
        if known is not None and event.outcome == EventOutcome.QUARANTINED:
            return None
        if event.outcome == EventOutcome.QUARANTINED:
            log.warning("event quarantined", receipt=str(self.receipt.id), position=position, reason=event.reason)
        self.tx.add(event)
        await self.tx.flush()
        await self._pass_on(event, understood)
        return {"position": position, "event": str(event.id), "outcome": event.outcome, "alert": str(event.alert_id)}

    async def _pass_on(self, event: Event, understood: Understood) -> None:
        """Tell the rooms that care: an alert, a breach record, something to look up."""
        ids = {"connection_id": event.connection_id, "event_id": event.id, RECEIPTS: event.receipt_id}
        if event.alert_id is not None:
            await publish(self.tx, ALERT_SEEN, event.organization_id, **ids, alert_id=event.alert_id)
        if event.outcome == EventOutcome.BREACH_RECORD:
            await publish(self.tx, BREACH_RECORD_SEEN, event.organization_id, **ids)
        if understood.look is not None:
            await looking_up.note(self.tx, self.keyring, event, self.receipt, understood.look)

    async def _fill(self, event: Event, item: RawEvent | BrokenEvent, understood: Understood) -> None:
        organization_id = event.organization_id
        event.reason, event.path, event.normaliser = understood.reason, understood.path, self.normaliser
        event.outcome = understood.outcome or EventOutcome.NEW
        if understood.content:
            bound = event.connection_id.bytes + understood.content
            event.content_hash = await self.keyring.index(self.tx, organization_id, "event.content", bound)
        event.reference_index = await self._about(understood)
        if understood.alert is not None:
            await self._file(event, understood.alert)
        still_aside = event.sealed is not None and event.outcome == EventOutcome.QUARANTINED
        says_nothing = understood.outcome is EventOutcome.NON_ALERT and understood.look is None
        if not says_nothing and not still_aside:
            copy = to_keep(item, understood)
            event.sealed, event.wrapped_key = await seal_event(self.tx, self.keyring, organization_id, event.id, copy)

    async def _about(self, understood: Understood) -> bytes | None:
        """The blind index of whom an event is about; None when it is about nobody, or could not be understood."""
        said = understood.alert or understood.record or understood.look
        if said is None or said.member_ref is None:
            return None
        connection_id = self.receipt.connection_id
        return await reference_index(self.tx, self.keyring, self.receipt.organization_id, connection_id, said.member_ref)

    async def _file(self, event: Event, alert: Alert) -> None:
        """Tie an event to its alert: a new one, a sighting with the same content, or a revision with other content."""
        organization_id, connection_id = event.organization_id, event.connection_id
        key = await self.keyring.index(
            self.tx, organization_id, "alert.identity", identity_bytes(connection_id.bytes, alert.identity)
        )
        reference = event.reference_index
        values = {
            "connection_id": connection_id,
            "id": uuid7(),
            "organization_id": organization_id,
            "dedupe_key": key,
            "key_version": KEY_VERSION,
            "reference_index": reference,
            "grade": self.receipt.grade,
            "first_received_at": self.receipt.received_at,
        }
        found, is_new = await repository.insert_alert(self.tx, values)
        if found.reference_index != reference:
            event.outcome, event.reason, event.path = EventOutcome.QUARANTINED, OTHER_PERSON, "member"
            return
        event.alert_id = found.id
        if not is_new:
            same = await repository.has_content(self.tx, connection_id, found.id, event.content_hash or b"")
            event.outcome = EventOutcome.SIGHTING if same else EventOutcome.REVISION
