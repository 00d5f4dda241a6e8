"""The workers of intake: handle the receipts that wait, and handle again what was set aside."""

from collections.abc import Sequence
from uuid import UUID

from app.intake import handling, looking_up, repository
from app.intake.retention import erase_raw
from app.kit.context import Context
from app.kit.database import Database, Transaction
from app.kit.keyring import Keyring
from app.kit.outbox import Consumer, Message, wake_parked
from app.ledger.service import Act, Actor, append
from app.members.service import ENROLLMENT_CHANGED, REFERENCE_FORGOTTEN
from connectors.registry import registry

BATCH = 500
MOST_BYTES = 16 * 2**20
"""How many receipts are handled in one transaction, and how much of bodies is held in memory for it."""
ERASED_AT_ONCE = 50
PAGE = 100


async def anything_waits(tx: Transaction) -> bool:
    """Whether any receipt is to be handled: a look that holds up nobody."""
    return await repository.anything_waits(tx)


async def handle_waiting(database: Database, keyring: Keyring) -> int:
    """Handle the oldest receipts that wait, one transaction a batch; returns how many were taken."""
    async with database.begin() as tx:
        taken = await repository.take_waiting(tx, BATCH, MOST_BYTES)
        await handling.handle_all(tx, keyring, taken)
        return len(taken)


def waker(context: Context) -> Consumer:
    """Look up what waited for an enrollment or a consent."""

    async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
        changed: dict[UUID, set[UUID]] = {}
        for message in messages:
            changed.setdefault(message.organization_id, set()).add(UUID(message.payload["member_id"]))
        for organization_id, member_ids in sorted(changed.items()):
            await looking_up.wake(tx, context.keyring, organization_id, member_ids)

    return Consumer("intake.look_ups", frozenset({ENROLLMENT_CHANGED}), handle)


def forgetter(context: Context) -> Consumer:
    """Destroy what came in under a reference that is nobody's any more."""

    async def handle(tx: Transaction, messages: Sequence[Message]) -> None:
        for message in messages:
            reference = bytes.fromhex(message.payload["reference_index"])
            connection_id = UUID(message.payload["connection_id"])
            await looking_up.forget(tx, context.keyring, message.organization_id, connection_id, reference)

    return Consumer("intake.forget", frozenset({REFERENCE_FORGOTTEN}), handle)


async def erase_by_contract(database: Database, keyring: Keyring) -> int:
    """Erase the raw data whose term is over, one batch a transaction; returns how many receipts lost their bodies."""
    total = 0
    for connector in registry().values():
        after: UUID | None = UUID(int=0)
        while connector.retention is not None and after is not None:
            async with database.begin() as tx:
                after, erased = await erase_raw(tx, keyring, connector.name, connector.retention.raw, after, ERASED_AT_ONCE)
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
    found = await repository.receipt(tx, receipt_id)
    if found is None:
        return
    receipt, connection = found
    before = receipt.state
    await handling.handle(tx, context.keyring, receipt, connection)
    facts = {"before": before, "after": receipt.state}
    await append(tx, context.keyring, receipt.organization_id, Act.REPLAY, facts=facts, actor=actor, receipt=receipt.id)
