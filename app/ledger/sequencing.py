"""The sequencer: gives entries their places in their organization's log, after they are visible, and signs how long it is.

One at a time for each log: a lease with a fence. One transaction for each batch, so that whoever is killed leaves the log as it
was before or as it is after. A log that is not as its newest checkpoint says is never made longer: that would sign what
somebody else has written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.exc import NoResultFound

from app.kit import clock, crypto, metrics
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Database, Transaction, upsert
from app.kit.keyring import Keyring, Lane
from app.kit.pulling import LEASE, Fenced
from app.kit.rows import insert_rows, on_postgresql
from app.ledger import models, notes
from app.ledger.nodes import Missing, frontier
from app.ledger.stored import columns, fetched, hash_of, write_leaves
from app.ledger.tree import EMPTY_ROOT, TILE_LEVELS, Frontier

log = structlog.get_logger(__name__)

BATCH = 4000
_PLACED = text(
    "DELETE FROM ledger_pending WHERE organization_id = :organization_id AND entry_id IN"
    " (SELECT entry_id FROM ledger_leaf WHERE organization_id = :organization_id AND position >= :size)"
).bindparams(bindparam("organization_id", type_=models.Pending.organization_id.type))

_IN_ORDER_OF_INDEX = "SELECT set_config('enable_sort', 'off', true)"
"""What waits comes and goes so fast that its statistics are never true. By them PostgreSQL would join all that waits with its
entries and sort it, for each batch again; so neither is left to it."""

_ENTRY_ON_POSTGRESQL = "LATERAL (SELECT * FROM ledger_entry WHERE id = p.entry_id OFFSET 0) AS e"
_ENTRY_ON_SQLITE = "ledger_entry AS e ON e.id = p.entry_id"


class Broken(Exception):
    """The log is not as its newest checkpoint says, or an entry that waits is none. Nothing was written."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """Who may make a log longer for now."""

    organization_id: UUID
    fence: int


async def integrate(database: Database, keyring: Keyring, host: str) -> int:
    """Give every entry that waits its place; how many got one. `host`: the public one, for the names of new logs.

    Any number of processes may do so at once. While keys are away entries wait. What is wrong with one log holds up no
    other; it is raised at the end (`Broken`, or whatever it was).
    """
    async with database.begin(read_only=True) as tx:
        waiting = (await tx.execute(select(models.Pending.organization_id).distinct())).scalars().all()
    done, failed = 0, None
    for organization_id in sorted(waiting):
        try:
            done += await _lengthen(database, keyring, organization_id, host)
        except (KeysAway, Unreadable, NoResultFound) as error:
            log.warning("a key is away, entries wait", organization=str(organization_id), reason=str(error))
        except Fenced:
            metrics.LEASE_LOSSES.labels("ledger").inc()
            log.warning("another sequencer has taken over", organization=str(organization_id))
        except Exception as error:  # the other logs go on; told below, when they are done
            log.error("the log does not go on", organization=str(organization_id), error=type(error).__name__)
            failed = failed or error
    if failed is not None:
        raise failed
    return done


async def _lengthen(database: Database, keyring: Keyring, organization_id: UUID, host: str) -> int:
    hold = await _take_hold(database, organization_id)
    if hold is None:
        return 0
    total = 0
    try:
        while done := await _one_batch(database, keyring, hold, host):
            total += done
            if done < BATCH:  # its commit has ended the lease
                return total
        await _let_go(database, hold)
    except (KeysAway, Unreadable, NoResultFound, Broken):
        await _let_go(database, hold)
        raise
    return total


async def _take_hold(database: Database, organization_id: UUID) -> _Hold | None:
    """The lease of one log, or None while another has it."""
    head, now = models.Head, clock.now()
    claim = (
        update(head)
        .where(head.organization_id == organization_id, or_(head.lease_until.is_(None), head.lease_until <= now))
        .values(lease_until=now + LEASE, fence=head.fence + 1)
        .returning(head.fence)
    )
    async with database.begin() as tx:
        fence = (await tx.execute(claim)).scalar_one_or_none()
        if fence is None and await tx.get(head, organization_id) is None:
            await tx.execute(
                upsert(tx, head).values(organization_id=organization_id, size=0, read_back=0, fence=0).on_conflict_do_nothing()
            )
            fence = (await tx.execute(claim)).scalar_one_or_none()
    return None if fence is None else _Hold(organization_id, fence)


async def _write_head(tx: Transaction, hold: _Hold, **values: Any) -> None:
    """Write the head's row and hold it until the end of the transaction. Raises Fenced when it is another's."""
    head = models.Head
    ours = update(head).where(head.organization_id == hold.organization_id, head.fence == hold.fence)
    written = ours.values(**values).returning(head.fence).execution_options(synchronize_session=False)
    if (await tx.execute(written)).scalar_one_or_none() is None:
        raise Fenced


async def _let_go(database: Database, hold: _Hold) -> None:
    async with database.begin() as tx:
        await _write_head(tx, hold, lease_until=None)


async def _one_batch(database: Database, keyring: Keyring, hold: _Hold, host: str) -> int:
    """The next entries in order of their ids, in one transaction; how many. Whatever takes long comes before the first lock."""
    organization_id, now = hold.organization_id, clock.now()
    async with database.begin() as tx:
        leaves = await _next(tx, organization_id)
        if not leaves:
            return 0
        tree = await _as_signed(tx, organization_id)
        signer = await _signer(tx, keyring, organization_id, host)
        size = tree.size
        finished = tree.extend([value for _, value in leaves])
        checkpoint = notes.Checkpoint(signer.key.name, tree.size, tree.root())
        note = notes.Note(checkpoint.text, (signer.sign(checkpoint.text),))
        await _write_head(tx, hold, size=tree.size, lease_until=now + LEASE if len(leaves) == BATCH else None)
        own = {"organization_id": organization_id}
        await write_leaves(tx, organization_id, size, leaves)
        subtrees = [
            {**own, "level": level // TILE_LEVELS, "position": at, "hash": value} for (level, at), value in finished.items()
        ]
        await insert_rows(tx, models.Subtree, subtrees)
        tx.add(models.Checkpoint(**own, size=tree.size, root=checkpoint.root, note=bytes(note), at=now))
        await tx.execute(_PLACED, {**own, "size": size})
    return len(leaves)


async def _next(tx: Transaction, organization_id: UUID) -> list[tuple[str, bytes]]:
    """The next entries that wait, and their leaves' hashes. What waits and is no entry (any more) stays: it is evidence."""
    if on_postgresql(tx):
        await fetched(tx, _IN_ORDER_OF_INDEX)
    entry = _ENTRY_ON_POSTGRESQL if on_postgresql(tx) else _ENTRY_ON_SQLITE
    statement = (
        f"SELECT {columns(tx)} FROM ledger_pending AS p CROSS JOIN {entry}"
        " WHERE p.organization_id = ? AND e.organization_id = p.organization_id ORDER BY p.entry_id LIMIT ?"
    )
    rows = await fetched(tx, statement, organization_id, BATCH)
    leaves = []
    for row in rows:
        value = hash_of(row)
        if value is None:
            raise Broken(f"the entry {UUID(row[0])} waits, and cannot be an entry")
        leaves.append((row[0], value))
    return leaves


async def _as_signed(tx: Transaction, organization_id: UUID) -> Frontier:
    """The log as it is, which is as its newest checkpoint says. Raises Broken."""
    query = select(models.Checkpoint.size, models.Checkpoint.root).where(models.Checkpoint.organization_id == organization_id)
    newest = (await tx.execute(query.order_by(models.Checkpoint.size.desc()).limit(1))).one_or_none()
    size, root = (0, EMPTY_ROOT) if newest is None else newest
    leaves = select(models.Leaf.position).where(models.Leaf.organization_id == organization_id)
    last = (await tx.execute(leaves.order_by(models.Leaf.position.desc()).limit(1))).scalar_one_or_none()
    head = (await tx.execute(select(models.Head.size).where(models.Head.organization_id == organization_id))).scalar_one()
    if not size == head == (0 if last is None else last + 1):
        raise Broken(f"the newest checkpoint is over {size} leaves, the head over {head}, the last leaf is {last}")
    try:
        tree = await frontier(tx, organization_id, size)
    except Missing as error:
        raise Broken(str(error)) from None
    if tree.root() != root:
        raise Broken(f"the {size} leaves have another root than their checkpoint")
    return tree


async def _signer(tx: Transaction, keyring: Keyring, organization_id: UUID, host: str) -> notes.Signer:
    """Who signs for a log: made with its first checkpoint. Raises KeysAway."""
    newest = select(models.Signer).where(models.Signer.organization_id == organization_id)
    row = (await tx.execute(newest.order_by(models.Signer.number.desc()).limit(1))).scalar_one_or_none()
    if row is not None:
        sealed, place = row.seed_sealed, _place(organization_id, row.number)
        seed = bytes.fromhex(await keyring.unseal(tx, organization_id, Lane.FACTUAL, sealed, *place))
        return notes.Signer(row.origin, notes.Kind.SIGNATURE, seed)
    seed, origin = crypto.new_key(), origin_of(host, organization_id)
    signer = notes.Signer(origin, notes.Kind.SIGNATURE, seed)
    sealed = await keyring.seal(tx, organization_id, Lane.FACTUAL, seed.hex(), *_place(organization_id, 1))
    made = {"origin": origin, "public_key": signer.key.public, "seed_sealed": sealed, "made_at": clock.now()}
    tx.add(models.Signer(organization_id=organization_id, number=1, **made))
    return signer


def _place(organization_id: UUID, number: int) -> Sequence[object]:
    return ("ledger_signer", "seed_sealed", organization_id, number)


def origin_of(host: str, organization_id: UUID) -> str:
    """The name of a log and of its signer."""
    return f"{host}/ledger/{organization_id}"
