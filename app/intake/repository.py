"""All SQL of intake: keep a receipt once, count what is refused, take waiting receipts, write events and alerts once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, select, update

from app.connections.models import Connection
from app.intake.models import (
    AlertRow,
    Event,
    EventOutcome,
    HandedOn,
    LookUp,
    LookUpState,
    Receipt,
    ReceiptState,
    Refusal,
)
from app.intake.refusals import Refused
from app.intake.understanding import FOR_A_PERSON
from app.kit.database import Transaction, upsert
from app.kit.rows import among, insert_rows
from app.ledger.deletions import Gone, note_deletion

_ROWS_AT_ONCE = 500
_TO_BE_ASKED = LookUp.state.in_((LookUpState.WAITING, LookUpState.DUE)) | ((LookUp.state == LookUpState.UNKNOWN) & LookUp.trusted)
"""Notices whose alert may still come: of those that prove themselves, also what the provider did not know so far."""


async def count_refusals(tx: Transaction, counts: Mapping[Refused, int]) -> None:
    """Add to the counts of refused deliveries, in one order, so that no two writers wait for each other in a circle."""
    rows = [
        {
            "connection_id": what.connection_id,
            "day": what.day,
            "reason": what.reason,
            "organization_id": what.organization_id,
            "count": times,
        }
        for what, times in sorted(counts.items(), key=lambda item: (item[0].connection_id, item[0].day, item[0].reason))
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        insert = upsert(tx, Refusal).values(rows[start : start + _ROWS_AT_ONCE])
        keys, more = ["connection_id", "day", "reason"], {"count": Refusal.count + insert.excluded.count}
        await tx.execute(insert.on_conflict_do_update(index_elements=keys, set_=more))


WAITING = select(Receipt.id).where(Receipt.state == literal_column(f"'{ReceiptState.STORED}'")).exists()
"""Whether any receipt is to be handled. The state stands in its text, so that a small index answers."""


async def take_waiting(tx: Transaction, limit: int, most_bytes: int) -> Sequence[tuple[Receipt, Connection]]:
    """The oldest receipts that wait, locked for this transaction; other workers step over them.

    As many as `limit`, and as fit into `most_bytes` together; the first one whatever its size.
    """
    waiting = (
        select(func.length(Receipt.sealed), Receipt.id, Receipt.connection_id)
        .where(Receipt.state == ReceiptState.STORED)
        .order_by(Receipt.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = (await tx.execute(waiting)).all()
    sums = accumulate(row[0] for row in found)
    fit = [row for at, (row, total) in enumerate(zip(found, sums, strict=True)) if at == 0 or total <= most_bytes]
    if not fit:
        return []
    over = among(tx, Connection.id, {row[2] for row in fit})
    connections = {row.id: row for row in (await tx.execute(select(Connection).where(over))).scalars()}
    taken = select(Receipt).where(among(tx, Receipt.connection_id, connections), among(tx, Receipt.id, [row[1] for row in fit]))
    return [(row, connections[row.connection_id]) for row in (await tx.execute(taken.order_by(Receipt.id))).scalars()]


async def read_again(tx: Transaction, receipts: Sequence[tuple[UUID, UUID]]) -> None:
    """Let receipts, `(connection, id)`, say what stands in the database: what was taken back by a savepoint is forgotten."""
    these = among(tx, Receipt.connection_id, {row[0] for row in receipts}), among(tx, Receipt.id, [row[1] for row in receipts])
    await tx.execute(select(Receipt).where(*these).execution_options(populate_existing=True))


async def receipt(tx: Transaction, receipt_id: UUID, *, lock: bool = False) -> tuple[Receipt, Connection] | None:
    """One receipt with its connection, by id alone."""
    query = select(Receipt, Connection).join(Connection, Connection.id == Receipt.connection_id)
    query = query.where(Receipt.id == receipt_id)
    row = (await tx.execute(query.with_for_update(of=Receipt) if lock else query)).first()
    return None if row is None else (row[0], row[1])


async def event(tx: Transaction, connection_id: UUID, event_id: UUID) -> Event | None:
    """One event."""
    return await tx.get(Event, (connection_id, event_id))


async def events_of(tx: Transaction, connection_id: UUID, receipt_id: UUID) -> Sequence[Event]:
    """The events of one receipt, in the order in which they stand in it."""
    query = select(Event).where(Event.connection_id == connection_id, Event.receipt_id == receipt_id)
    return (await tx.execute(query.order_by(Event.position))).scalars().all()


async def events_of_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> Sequence[Event]:
    """The events of some receipts, in the order in which they stand in each."""
    query = select(Event).where(
        among(tx, Event.connection_id, {row.connection_id for row in receipts}),
        among(tx, Event.receipt_id, [row.id for row in receipts]),
    )
    return (await tx.execute(query.order_by(Event.receipt_id, Event.position))).scalars().all()


class Readable(NamedTuple):
    """One event of an alert that can still be opened, with the grade of the receipt that brought it."""

    connection_id: UUID
    id: UUID
    organization_id: UUID
    receipt_id: UUID
    alert_id: UUID
    outcome: str
    received_at: datetime
    sealed: bytes | None
    wrapped_key: bytes | None
    grade: str


async def readable_events(tx: Transaction, alerts: Collection[tuple[UUID, UUID]]) -> Sequence[Readable]:
    """The events of some alerts, `(connection, id)`, that can still be opened, in order of arrival."""
    columns: list[Any] = [getattr(Event, name) for name in Readable._fields[:-1]]
    query = (
        select(*columns, Receipt.grade)
        .join(Receipt, (Receipt.connection_id == Event.connection_id) & (Receipt.id == Event.receipt_id))
        .where(
            among(tx, Event.connection_id, {alert[0] for alert in alerts}),
            among(tx, Event.alert_id, [alert[1] for alert in alerts]),
            Event.wrapped_key.is_not(None),
        )
    )
    return [Readable._make(row) for row in (await tx.execute(query.order_by(Event.id))).all()]


class KnownAlert(NamedTuple):
    """What of an alert is needed to find out whose it is, named as in the table."""

    connection_id: UUID
    id: UUID
    organization_id: UUID
    reference_index: bytes
    grade: str
    first_received_at: datetime


async def alerts(tx: Transaction, wanted: Collection[tuple[UUID, UUID]]) -> Sequence[KnownAlert]:
    """Some alerts by `(connection, id)`, in order of their ids."""
    columns: list[Any] = [getattr(AlertRow, name) for name in KnownAlert._fields]
    query = select(*columns).where(
        among(tx, AlertRow.connection_id, {alert[0] for alert in wanted}), among(tx, AlertRow.id, [alert[1] for alert in wanted])
    )
    return [KnownAlert._make(row) for row in (await tx.execute(query.order_by(AlertRow.id))).all()]


async def insert_events(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
    """Write new events."""
    await insert_rows(tx, Event, rows)


async def set_handled(tx: Transaction, receipts: Sequence[Receipt], now: datetime) -> None:
    """Write down that receipts are handled."""
    done = update(Receipt).where(
        among(tx, Receipt.connection_id, {row.connection_id for row in receipts}),
        among(tx, Receipt.id, [row.id for row in receipts]),
    )
    values = {"state": ReceiptState.HANDLED, "reason": None, "handled_at": now}
    if receipts:
        await tx.execute(done.values(**values).execution_options(synchronize_session=False))


async def alert_events(tx: Transaction, connection_id: UUID, alert_id: UUID) -> Sequence[Event]:
    """Every event of one alert: the first, sightings and revisions, in order of arrival."""
    query = select(Event).where(Event.connection_id == connection_id, Event.alert_id == alert_id)
    return (await tx.execute(query.order_by(Event.id))).scalars().all()


async def alert(tx: Transaction, connection_id: UUID, alert_id: UUID) -> AlertRow | None:
    """One alert."""
    return await tx.get(AlertRow, (connection_id, alert_id))


class Held(NamedTuple):
    """What of an alert decides what becomes of one more event of it."""

    id: UUID
    reference_index: bytes


async def insert_alerts(tx: Transaction, rows: Sequence[dict[str, Any]]) -> dict[tuple[UUID, bytes], Held]:
    """Insert the alerts whose keys are not there yet; all of them by (connection, key), held for this transaction.

    Always in the order of their keys, so that two batches with the same alerts never wait for each other.
    """
    if not rows:
        return {}
    await insert_rows(tx, AlertRow, sorted(rows, key=lambda row: (row["connection_id"], row["dedupe_key"])), unless_there=True)
    held = (
        select(AlertRow.connection_id, AlertRow.dedupe_key, AlertRow.id, AlertRow.reference_index)
        .where(
            among(tx, AlertRow.connection_id, {row["connection_id"] for row in rows}),
            among(tx, AlertRow.dedupe_key, [row["dedupe_key"] for row in rows]),
        )
        .order_by(AlertRow.connection_id, AlertRow.dedupe_key)
        .with_for_update()
    )
    return {(row[0], row[1]): Held(row[2], row[3]) for row in (await tx.execute(held)).all()}


async def contents_of(
    tx: Transaction, alerts: Collection[tuple[UUID, UUID]], hashes: Collection[bytes]
) -> set[tuple[UUID, bytes]]:
    """Which of these contents some event of which of these alerts, `(connection, id)`, already said: `(alert, content)`."""
    if not alerts:
        return set()
    query = select(Event.alert_id, Event.content_hash).where(
        among(tx, Event.connection_id, {alert[0] for alert in alerts}),
        among(tx, Event.alert_id, [alert[1] for alert in alerts]),
        among(tx, Event.content_hash, hashes),
    )
    return {(row[0], row[1]) for row in (await tx.execute(query.distinct())).all() if row[0] and row[1]}


async def destroy_keys(
    tx: Transaction, organization_id: UUID, connection_id: UUID, receipt_ids: set[UUID], event_ids: set[UUID], reason: str
) -> None:
    """Destroy the keys of receipts and of single events: what they sealed can never be read again.

    And those of the receipts that handed them on, which hold the same bytes.
    """
    for source_id, receipts in (await _handed_on_by(tx, receipt_ids)).items():
        await destroy_keys(tx, organization_id, source_id, receipts, set(), reason)
    if receipt_ids or event_ids:
        count = len(receipt_ids | event_ids)
        ids: dict[str, UUID | Collection[UUID]] = {"connection": connection_id, "receipts": receipt_ids, "events": event_ids}
        note_deletion(tx, organization_id, Gone.KEYS, count, reason, ids)
        await destroy_keys_again(tx, connection_id, receipt_ids, event_ids)


async def _handed_on_by(tx: Transaction, receipt_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The receipts out of which these were handed on, by connection."""
    if not receipt_ids:
        return {}
    out_of = (Event.connection_id == HandedOn.connection_id) & (Event.id == HandedOn.event_id)
    query = select(Event.connection_id, Event.receipt_id).join(HandedOn, out_of).where(HandedOn.receipt_id.in_(receipt_ids))
    found: dict[UUID, set[UUID]] = {}
    for connection_id, receipt_id in await tx.execute(query):
        found.setdefault(connection_id, set()).add(receipt_id)
    return found


async def destroy_keys_again(
    tx: Transaction, connection_id: UUID, receipt_ids: Collection[UUID], event_ids: Collection[UUID]
) -> None:
    """`destroy_keys` for what is written down already: a restored backup has brought the keys back."""
    await tx.execute(
        update(Receipt).where(Receipt.connection_id == connection_id, Receipt.id.in_(receipt_ids)).values(wrapped_key=None)
    )
    await tx.execute(
        update(Event).where(Event.connection_id == connection_id, Event.id.in_(event_ids)).values(wrapped_key=None, sealed=None)
    )


async def kept_about(tx: Transaction, connection_id: UUID, reference_index: bytes) -> tuple[set[UUID], set[UUID]]:
    """What is kept about one reference: `(receipts, events)`; of a receipt with others' events these have keys of their own.

    An event that says of nobody is theirs whose the receipt is.
    """
    fetched = select(Receipt.id).where(Receipt.connection_id == connection_id, Receipt.about_index == reference_index)
    says_nobody = Event.reference_index.is_(None) & Event.receipt_id.in_(fetched)
    told = select(Event.receipt_id, Event.id).where(
        Event.connection_id == connection_id, (Event.reference_index == reference_index) | says_nobody
    )
    events = (await tx.execute(told)).all()
    receipts = set((await tx.execute(fetched)).scalars()) | {row[0] for row in events}
    return receipts, {row[1] for row in events}


async def receipts_about(
    tx: Transaction, connection_id: UUID, reference_index: bytes, since: datetime, limit: int
) -> Sequence[Receipt]:
    """The newest receipts that are about one reference, newest first."""
    query = select(Receipt).where(
        Receipt.connection_id == connection_id, Receipt.about_index == reference_index, Receipt.received_at > since
    )
    return (await tx.execute(query.order_by(Receipt.id.desc()).limit(limit))).scalars().all()


async def raw_older_than(tx: Transaction, connection_id: UUID, before: datetime, after: UUID, limit: int) -> Sequence[Receipt]:
    """Receipts of one connection from before a moment that still hold their bodies, by id, held for this transaction.

    Left out: those with something that is not understood, looked up or handed on yet.
    """
    unfinished = select(Event.receipt_id).where(
        Event.connection_id == Receipt.connection_id,
        Event.receipt_id == Receipt.id,
        (Event.outcome == EventOutcome.QUARANTINED)
        | Event.id.in_(select(LookUp.event_id).where(_TO_BE_ASKED))
        | Event.id.in_(select(HandedOn.event_id).where(HandedOn.due_at.is_not(None))),
    )
    query = (
        select(Receipt)
        .where(Receipt.connection_id == connection_id, Receipt.state == ReceiptState.HANDLED, Receipt.wrapped_key.is_not(None))
        .where(Receipt.received_at < before, Receipt.id > after, ~unfinished.exists())
    )
    return (await tx.execute(query.order_by(Receipt.id).limit(limit).with_for_update(of=Receipt))).scalars().all()


async def to_replay(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[UUID]:
    """Receipts with something set aside: quarantined events, unsplittable or stale receipts, oldest first."""
    quarantined = select(Event.receipt_id).where(
        Event.organization_id == organization_id, Event.outcome == EventOutcome.QUARANTINED
    )
    waiting = Receipt.state.in_((ReceiptState.UNSPLITTABLE, ReceiptState.STALE)) | Receipt.id.in_(quarantined)
    query = select(Receipt.id).where(Receipt.organization_id == organization_id, Receipt.id > after, waiting)
    return (await tx.execute(query.order_by(Receipt.id).limit(limit))).scalars().all()


async def quarantined_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Event]:
    """The next events that could not be understood, oldest first; those that are left to a person are in a queue of their own."""
    query = select(Event).where(
        Event.organization_id == organization_id,
        Event.outcome == EventOutcome.QUARANTINED,
        Event.path.is_distinct_from(FOR_A_PERSON),
        Event.id > after,
    )
    return (await tx.execute(query.order_by(Event.id).limit(limit))).scalars().all()


async def newest_events(tx: Transaction, connection_id: UUID, limit: int) -> Sequence[tuple[Event, bytes | None]]:
    """A connection's newest events that speak for themselves, each with whose its receipt is, newest first."""
    held = (Receipt.connection_id == Event.connection_id) & (Receipt.id == Event.receipt_id)
    query = select(Event, Receipt.about_index).join(Receipt, held).where(Event.connection_id == connection_id)
    query = query.where(Event.outcome != EventOutcome.HANDED_ON).order_by(Event.id.desc()).limit(limit)
    return [(row[0], row[1]) for row in (await tx.execute(query)).all()]


async def set_aside_after(tx: Transaction, organization_id: UUID, after: UUID, limit: int) -> Sequence[Receipt]:
    """The next receipts that are stale or could not be cut, oldest first."""
    states = (ReceiptState.UNSPLITTABLE, ReceiptState.STALE)
    query = select(Receipt).where(Receipt.organization_id == organization_id, Receipt.state.in_(states), Receipt.id > after)
    return (await tx.execute(query.order_by(Receipt.id).limit(limit))).scalars().all()


def _of(
    table: type[Receipt | Event | Refusal | AlertRow], organization_id: UUID, connection_id: UUID | None
) -> list[ColumnElement[bool]]:
    """What is an organization's, or, where one is named, one connection's."""
    ours = [table.organization_id == organization_id]
    return ours if connection_id is None else [*ours, table.connection_id == connection_id]


async def receipt_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> list[tuple[str, int, int]]:
    """Receipts by state, of all connections or one: `(state, receipts, repeats)`."""
    query = select(Receipt.state, func.count(), func.coalesce(func.sum(Receipt.repeats), 0))
    query = query.where(*_of(Receipt, organization_id, connection_id)).group_by(Receipt.state)
    return [(row[0], row[1], int(row[2])) for row in (await tx.execute(query)).all()]


async def receipts_of(tx: Transaction, connection_id: UUID) -> tuple[int, int]:
    """How much came in over one connection: `(receipts, repeats)`."""
    query = select(func.count(), func.coalesce(func.sum(Receipt.repeats), 0)).where(Receipt.connection_id == connection_id)
    row = (await tx.execute(query)).one()
    return row[0], int(row[1])


async def event_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, int]:
    """Events by outcome, of all connections or one."""
    query = select(Event.outcome, func.count()).where(*_of(Event, organization_id, connection_id))
    return {row[0]: row[1] for row in (await tx.execute(query.group_by(Event.outcome))).all()}


async def refusal_counts(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> dict[str, int]:
    """Refused deliveries by reason, of all connections or one."""
    query = select(Refusal.reason, func.sum(Refusal.count)).where(*_of(Refusal, organization_id, connection_id))
    return {row[0]: int(row[1]) for row in (await tx.execute(query.group_by(Refusal.reason))).all()}


async def alert_count(tx: Transaction, organization_id: UUID, connection_id: UUID | None = None) -> int:
    """How many distinct alerts there are, of all connections or one."""
    query = select(func.count()).select_from(AlertRow).where(*_of(AlertRow, organization_id, connection_id))
    return (await tx.execute(query)).scalar_one()


async def grade_of_receipt(tx: Transaction, connection_id: UUID, receipt_id: UUID) -> str:
    """How well one receipt is proven."""
    query = select(Receipt.grade).where(Receipt.connection_id == connection_id, Receipt.id == receipt_id)
    return (await tx.execute(query)).scalar_one()
