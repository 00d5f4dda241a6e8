"""From stored receipts to alerts: repeatable, by any process, one transaction a batch. A bad event spares its neighbours.

A batch is read first and then written, each table by one statement; what comes out is the same as one receipt after another.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm.attributes import set_committed_value

from app.connections.models import Connection
from app.intake import handing_on, looking_up, repository
from app.intake.fresh import Bring, Fresh, fresh, nothing_brought
from app.intake.models import Event, EventOutcome, Receipt, ReceiptState
from app.intake.parts import Cut, Part, cut
from app.intake.readers import readers_of
from app.intake.sealing import seal_event
from app.intake.understanding import KEY_VERSION, copy_of
from app.kit import clock
from app.kit.at_once import store_is_away
from app.kit.database import Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.kit.outbox import RECEIPTS, publish_many
from app.ledger.service import Act, Entry, append_many

log = structlog.get_logger(__name__)

ALERT_SEEN = "intake.alert_seen"
BREACH_RECORD_SEEN = "intake.breach_record_seen"
"""Topic: the event `event_id` of `connection_id` says something about a breach."""
OTHER_PERSON = "the id of an alert about somebody else"


async def handle(tx: Transaction, keyring: Keyring, receipt: Receipt, connection: Connection) -> None:
    """Handle one receipt inside a savepoint: if our code or the database refuses it, it is set aside."""
    await handle_all(tx, keyring, [(receipt, connection)])


async def handle_all(
    tx: Transaction, keyring: Keyring, taken: Sequence[tuple[Receipt, Connection]], bring: Bring = nothing_brought
) -> None:
    """Handle receipts together, inside a savepoint. Where that fails each half is tried for itself.

    So the one that our code or the database refuses is found and set aside, and the others go on. `bring`: what brings new
    alerts to their members in the same transaction; what it leaves is told of by messages. The halves bring nothing: members
    would be held when the next half asks for its alerts, and locks are taken in the other order.
    """
    if not taken:
        return
    ids = [(receipt.connection_id, receipt.id) for receipt, _ in taken]
    try:
        async with tx.begin_nested():
            await _handle_all(tx, keyring, taken, bring)
    except Exception as error:  # our own mistake must not lose or block anything: set aside, alarm, replay after the fix
        if store_is_away(error):
            raise  # nothing is wrong with the receipts, the next round takes them again
        await repository.read_again(tx, ids)
        if len(taken) == 1:
            await _set_aside(tx, taken[0][0], error)
            return
        named = [str(receipt_id) for _, receipt_id in ids]
        log.warning("batch failed, going by halves", size=len(taken), receipts=named, error=type(error).__name__)
    else:
        return
    middle = len(taken) // 2
    await handle_all(tx, keyring, taken[:middle])
    await handle_all(tx, keyring, taken[middle:])


async def _set_aside(tx: Transaction, receipt: Receipt, error: Exception) -> None:
    log.error("receipt set aside", receipt=str(receipt.id), error=type(error).__name__)
    receipt.state, receipt.reason = ReceiptState.UNSPLITTABLE, f"handling failed: {type(error).__name__}"
    await tx.flush()


async def _handle_all(tx: Transaction, keyring: Keyring, taken: Sequence[tuple[Receipt, Connection]], bring: Bring) -> None:
    known: defaultdict[UUID, dict[int, Event]] = defaultdict(dict)
    for event in await repository.events_of_receipts(tx, [receipt for receipt, _ in taken]):
        known[event.receipt_id][event.position] = event
    readers = await readers_of(tx, [connection for _, connection in taken])
    cuts = [await cut(tx, keyring, receipt, readers[connection.id], known[receipt.id]) for receipt, connection in taken]
    parts = [part for found in cuts for part in found.parts]
    await _file(tx, [part for part in parts if part.dedupe_key is not None])
    await _write_events(tx, keyring, cuts)
    await _record(tx, keyring, cuts)
    await _finish(tx, cuts)
    brought = await _brought(tx, fresh(parts), bring)
    await _pass_on(tx, keyring, [part for part in parts if part.is_news and not _is_brought(part, brought)])


def _is_brought(part: Part, brought: Set[UUID]) -> bool:
    """Whether nobody need be told of it any more. What a person was asked about is never among what was brought."""
    return part.known is None and part.alert_id in brought


async def _brought(tx: Transaction, new: Sequence[Fresh], bring: Bring) -> Set[UUID]:
    """The alerts that are with their members already. If that fails, nothing is wrong with receiving: messages tell of them."""
    if not new:
        return frozenset()
    try:
        async with tx.begin_nested():
            return await bring(tx, new)
    except Exception as error:  # whatever it was, the messages' own worker finds out which alert it is about
        if store_is_away(error):
            raise
        named = list(dict.fromkeys(str(part.receipt.id) for one in new for part in one.parts))
        log.warning("alerts go by message", alerts=len(new), receipts=named, error=type(error).__name__)
        return frozenset()


async def _file(tx: Transaction, parts: Sequence[Part]) -> None:
    """Tie each alert's part to its alert: a new one, a sighting with the same content, or a revision with other content."""
    first: dict[tuple[UUID, bytes], Part] = {}
    for part in parts:
        first.setdefault((part.receipt.connection_id, part.dedupe_key or b""), part)
    proposed = {place: _alert(part) for place, part in first.items()}
    held = await repository.insert_alerts(tx, list(proposed.values()))
    old = [(place[0], alert.id) for place, alert in held.items() if place in proposed and alert.id != proposed[place]["id"]]
    said = await repository.contents_of(tx, old, {part.content_hash or b"" for part in parts})
    for part in parts:
        place = (part.receipt.connection_id, part.dedupe_key or b"")
        alert, content = held[place], part.content_hash or b""
        if alert.reference_index != part.reference_index:
            part.outcome, part.reason, part.path = EventOutcome.QUARANTINED, OTHER_PERSON, "member"
            continue
        part.alert_id = alert.id
        if part is not first[place] or alert.id != proposed[place]["id"]:
            part.outcome = EventOutcome.SIGHTING if (alert.id, content) in said else EventOutcome.REVISION
        said.add((alert.id, content))


def _alert(part: Part) -> dict[str, Any]:
    return {
        "connection_id": part.receipt.connection_id,
        "id": uuid7(),
        "organization_id": part.receipt.organization_id,
        "dedupe_key": part.dedupe_key,
        "key_version": KEY_VERSION,
        "reference_index": part.reference_index,
        "grade": part.receipt.grade,
        "first_received_at": part.receipt.received_at,
    }


async def _write_events(tx: Transaction, keyring: Keyring, cuts: Iterable[Cut]) -> None:
    rows = []
    for found in cuts:
        for part in found.parts:
            values = {**_said(part, found.normaliser), **await _sealed(tx, keyring, part)}
            if part.known is None:
                rows.append({"sealed": None, "wrapped_key": None, **_place(part), **values})
                continue
            for name, value in values.items():
                setattr(part.known, name, value)
    await repository.insert_events(tx, rows)
    await tx.flush()


def _place(part: Part) -> dict[str, Any]:
    return {
        "connection_id": part.receipt.connection_id,
        "id": part.id,
        "organization_id": part.receipt.organization_id,
        "receipt_id": part.receipt.id,
        "position": part.position,
        "received_at": part.receipt.received_at,
    }


def _said(part: Part, normaliser: str) -> dict[str, Any]:
    return {
        "outcome": part.outcome,
        "alert_id": part.alert_id,
        "reason": part.reason,
        "path": part.path,
        "content_hash": part.content_hash,
        "reference_index": part.reference_index,
        "normaliser": normaliser,
    }


async def _sealed(tx: Transaction, keyring: Keyring, part: Part) -> dict[str, bytes]:
    """The part's own copy under a key of its own; nothing of what says nothing, and what is still aside keeps what it has."""
    still_aside = part.known is not None and part.known.sealed is not None and part.outcome is EventOutcome.QUARANTINED
    is_kept_elsewhere = part.understood.handed is not None
    says_nothing = is_kept_elsewhere or (part.understood.outcome is EventOutcome.NON_ALERT and part.understood.look is None)
    if says_nothing or still_aside:
        return {}
    part.copy = copy_of(part.item, part.understood)
    sealed, wrapped = await seal_event(tx, keyring, part.receipt.organization_id, part.id, part.copy)
    return {"sealed": sealed, "wrapped_key": wrapped}


async def _pass_on(tx: Transaction, keyring: Keyring, parts: Sequence[Part]) -> None:
    """Tell the rooms that care: an alert, a breach record, something to look up, a message to be handed on."""
    seen: list[tuple[UUID, dict[str, UUID]]] = []
    listed: list[tuple[UUID, dict[str, UUID]]] = []
    for part in parts:
        ids = {"connection_id": part.receipt.connection_id, "event_id": part.id, RECEIPTS: part.receipt.id}
        if part.alert_id is not None:
            seen.append((part.receipt.organization_id, ids | {"alert_id": part.alert_id}))
        if part.outcome is EventOutcome.BREACH_RECORD:
            listed.append((part.receipt.organization_id, ids))
        if part.outcome is EventOutcome.QUARANTINED:
            log.warning("event quarantined", receipt=str(part.receipt.id), position=part.position, reason=part.reason)
    await publish_many(tx, ALERT_SEEN, seen)
    await publish_many(tx, BREACH_RECORD_SEEN, listed)
    await handing_on.note(tx, [part for part in parts if part.understood.handed is not None])
    for part in parts:
        if part.understood.look is not None:
            await looking_up.note(tx, keyring, part.receipt, part.id, part.reference_index, part.understood.look)


async def _record(tx: Transaction, keyring: Keyring, cuts: Iterable[Cut]) -> None:
    """One ledger entry for each receipt that brought something, or was read for the first time."""
    entries = []
    for found in cuts:
        told = [
            {"position": part.position, "event": str(part.id), "outcome": part.outcome.value, "alert": str(part.alert_id)}
            for part in found.parts
            if part.is_news
        ]
        if found.reason is None and (told or not found.seen_before):
            facts = {"events": told, "normaliser": found.normaliser}
            ids = {"receipt": found.receipt.id, "connection": found.receipt.connection_id}
            entries.append(Entry(found.receipt.organization_id, Act.NORMALISATION, facts, ids))
    await append_many(tx, keyring, entries)


async def _finish(tx: Transaction, cuts: Sequence[Cut]) -> None:
    now = clock.now()
    await repository.set_handled(tx, [found.receipt for found in cuts if found.reason is None], now)
    for found in cuts:
        if found.reason is not None:
            found.receipt.state, found.receipt.reason = ReceiptState.UNSPLITTABLE, found.reason
    await tx.flush()
    for found in cuts:
        if found.reason is None:
            for name, value in (("state", ReceiptState.HANDLED), ("reason", None), ("handled_at", now)):
                set_committed_value(found.receipt, name, value)
