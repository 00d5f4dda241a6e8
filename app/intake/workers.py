"""The workers of intake: handle the receipts that wait, and handle again what was set aside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import structlog

from app.connections.documents import READING_CHANGED
from app.connections.raw_terms import with_raw_terms
from app.intake import handling, left_to_people, looking_up, repository
from app.intake.fresh import Bring, nothing_brought
from app.intake.models import Receipt
from app.intake.refusals import WRITE_EVERY, Refusals
from app.intake.retention import erase_raw
from app.kit import clock, metrics
from app.kit.context import Context
from app.kit.database import Database, Transaction
from app.kit.keyring import Keyring
from app.kit.logging import about_receipt
from app.kit.outbox import Consumer, Heard, wake_parked
from app.kit.scoped import as_it_stands
from app.ledger.service import Act, Actor, append
from app.members.service import ENROLLMENT_CHANGED, REFERENCE, REFERENCE_FORGOTTEN

log = structlog.get_logger(__name__)

BATCH = 1000
MOST_BYTES = 16 * 2**20
"""How many receipts are handled in one transaction, and how much of bodies is held in memory for it."""
ERASED_AT_ONCE = 50
PAGE = 100


async def handle_waiting(database: Database, keyring: Keyring, bring: Bring = nothing_brought) -> int:
    """Handle the oldest receipts that wait, one transaction a batch; returns how many were taken.

    `bring`: what brings new alerts to their members, in the same transaction.
    """
    async with database.begin() as tx:
        taken = await repository.take_waiting(tx, BATCH, MOST_BYTES)
        await handling.handle_all(tx, keyring, taken, bring)
    _tell([receipt for receipt, _ in taken])
    return len(taken)


def _tell(handled: Sequence[Receipt]) -> None:
    """Say that these receipts are handled, now that they are."""
    metrics.lag("handled", (receipt.received_at for receipt in handled), clock.now())
    if handled:
        log.info("receipts handled", receipts=[str(receipt.id) for receipt in handled])


async def write_refusals(database: Database, refusals: Refusals) -> None:
    """Write what was refused since the last time, in one transaction; what cannot be written is kept for the next."""
    with refusals.taken() as counts:
        if counts:
            async with database.begin() as tx:
                await repository.count_refusals(tx, counts)


@asynccontextmanager
async def counting(database: Database, refusals: Refusals) -> AsyncIterator[None]:
    """Write what was refused each second while the block lasts, and what is left at its end."""

    async def again_and_again() -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            try:
                await write_refusals(database, refusals)
            except Exception as error:  # the store may be away: the counts are kept, and written with the next
                log.error("refusals are not written yet", error=type(error).__name__)

    writing = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await write_refusals(database, refusals)


def waker(context: Context) -> Consumer:
    """Look up what waited for an enrollment or a consent; destroy what was left to a person when its member says no."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        changed: dict[UUID, set[UUID]] = {}
        for message in messages:
            changed.setdefault(message.organization_id, set()).add(UUID(message.payload["member_id"]))
        for organization_id, member_ids in sorted(changed.items()):
            await looking_up.wake(tx, context.keyring, organization_id, member_ids)
            await left_to_people.let_go(tx, context.keyring, organization_id, member_ids)

    return Consumer("intake.look_ups", frozenset({ENROLLMENT_CHANGED}), handle)


def reader_again(context: Context) -> Consumer:
    """Read what is left to a person again, when its connection reads by other documents."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        first: dict[tuple[UUID, UUID], UUID] = {}
        for message in messages:
            place = (message.organization_id, UUID(message.payload["connection_id"]))
            after = UUID(message.payload.get("after", str(UUID(int=0))))
            first[place] = min(after, first.get(place, after))
        for (organization_id, connection_id), after in first.items():
            await left_to_people.read_again(tx, context.keyring, organization_id, connection_id, after)

    return Consumer("intake.read_again", frozenset({READING_CHANGED}), handle)


def forgetter(context: Context) -> Consumer:
    """Destroy what came in under a reference that is nobody's any more."""

    async def handle(tx: Transaction, messages: Sequence[Heard]) -> None:
        for message in messages:
            where = message.organization_id, UUID(message.payload["connection_id"])
            told = bytes.fromhex(message.payload["reference_index"])
            reference = await as_it_stands(tx, context.keyring, *where, REFERENCE, told)
            await looking_up.forget(tx, context.keyring, *where, reference)

    return Consumer("intake.forget", frozenset({REFERENCE_FORGOTTEN}), handle)


async def erase_by_term(database: Database, keyring: Keyring) -> int:
    """Erase the raw data whose term is over, one batch a transaction; returns how many receipts lost their bodies."""
    total = 0
    async with database.begin(read_only=True) as tx:
        limited = await with_raw_terms(tx)
    for connection_id in limited:
        after: UUID | None = UUID(int=0)
        while after is not None:
            async with database.begin() as tx:
                after, erased = await erase_raw(tx, keyring, connection_id, after, ERASED_AT_ONCE)
            total += erased
    return total


async def replay(context: Context, organization_id: UUID, actor: Actor) -> int:
    """Handle again whatever was set aside, one receipt a transaction; returns how many receipts were looked at.

    What was understood before stays as it is. Stale receipts are taken as they are: a person has decided so. Messages that
    other workers had given up on are tried once more.
    """
    async with context.database.begin() as tx:
        await wake_parked(tx, organization_id)
    after, done = UUID(int=0), 0
    while True:
        async with context.database.begin(read_only=True) as tx:
            ids = await repository.to_replay(tx, organization_id, after, PAGE)
        if not ids:
            return done
        for receipt_id in ids:
            async with context.database.begin() as tx:
                await _replay_one(tx, context, receipt_id, actor)
        done, after = done + len(ids), ids[-1]


async def _replay_one(tx: Transaction, context: Context, receipt_id: UUID, actor: Actor) -> None:
    found = await repository.receipt(tx, receipt_id, lock=True)
    if found is None:
        return
    receipt, connection = found
    before = receipt.state
    with about_receipt(receipt.id):
        await handling.handle(tx, context.keyring, receipt, connection)
    facts = {"before": before, "after": receipt.state}
    await append(tx, context.keyring, receipt.organization_id, Act.REPLAY, facts=facts, actor=actor, receipt=receipt.id)
