"""Tampers with a log as somebody may who owns the database: every trigger is taken away, every row can be written.

Each of the seven kinds is one function: it does its worst inside a transaction, and says what it did. Whoever rewrites a whole
log has the real key, too, and signs every checkpoint anew.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.kit.acting import ITSELF
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.kit.keyring import Keyring
from app.ledger import models, notes
from app.ledger.findings import Kind
from app.ledger.leaves import leaf_bytes
from app.ledger.models import LedgerEntry
from app.ledger.sequencing import _signer, integrate
from app.ledger.service import Act, Actor, append
from app.ledger.tree import TILE_LEVELS, Frontier, leaf_hash
from app.ledger.verifying import Copy, Report, read_copy, verify
from tests.support.world import World

LOGGED = ("entry", "leaf", "subtree", "checkpoint", "cosignature", "timestamp")
COLUMNS = [column.key for column in LedgerEntry.__table__.columns]
IDS = ("id", "organization_id", "member_id", "actor_id")
PLACED = select(*LedgerEntry.__table__.columns).join_from(LedgerEntry, models.Leaf, models.Leaf.entry_id == LedgerEntry.id)
"""Entries with their places."""


async def take_triggers_away(owner: AsyncConnection) -> None:
    """Let rows be changed that nobody may change."""
    if owner.dialect.name == "sqlite":
        named = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'ledger_%'")
        for name in (await owner.execute(named)).scalars().all():
            await owner.execute(text(f"DROP TRIGGER {name}"))
        return
    for table in LOGGED:
        await owner.execute(text(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER"))


@dataclass
class Rig:
    """One log to be tampered with, what was kept of it elsewhere before, and the key that the thief has stolen."""

    tx: Transaction
    organization_id: UUID
    signer: notes.Signer
    chance: random.Random
    copied: int
    """How many entries the copy outside is over: whatever is done is done to them."""

    async def rows(self) -> list[dict[str, Any]]:
        """The entries of the log, in their places."""
        query = PLACED.where(models.Leaf.organization_id == self.organization_id).order_by(models.Leaf.position)
        return [dict(row) for row in (await self.tx.execute(query)).mappings()]

    async def one(self) -> tuple[int, dict[str, Any]]:
        """Any entry that the copy is over, and its place."""
        position = self.chance.randrange(self.copied)
        return position, dict((await self.tx.execute(PLACED.where(*self.leaf(position)))).mappings().one())

    async def run(self, statement: Any) -> None:
        await self.tx.execute(statement.execution_options(synchronize_session=False))

    def leaf(self, position: int) -> Sequence[Any]:
        return (models.Leaf.organization_id == self.organization_id, models.Leaf.position == position)

    async def shift(self, start: int, by: int) -> None:
        """Move every leaf from `start` on to another place, past the constraint that they stand apart."""
        own = (models.Leaf.organization_id == self.organization_id, models.Leaf.position >= start)
        far = 1_000_000
        await self.run(update(models.Leaf).where(*own).values(position=models.Leaf.position + far))
        own = (models.Leaf.organization_id == self.organization_id, models.Leaf.position >= far)
        await self.run(update(models.Leaf).where(*own).values(position=models.Leaf.position - far + by))


def another(chance: random.Random, row: Mapping[str, Any], name: str) -> Any:
    """Another value for one column."""
    value = row[name]
    if name in IDS:
        return uuid7()
    if name == "at":
        return value + timedelta(microseconds=chance.choice((-1, 1, 60_000_000, -86_400_000_000)))
    if name == "subjects":
        return {**value, chance.choice(("receipt", "link", "more")): str(uuid7())}
    if name == "commitment":
        return chance.randbytes(32)
    return f"{value or ''}x"


def flipped(chance: random.Random, row: Mapping[str, Any], name: str) -> Any:
    """The same value with one bit turned over."""
    value = row[name]
    if isinstance(value, bytes):
        bit = chance.randrange(8 * len(value))
        return bytes(one ^ (1 << bit % 8 if place == bit // 8 else 0) for place, one in enumerate(value))
    if isinstance(value, UUID):
        return UUID(int=value.int ^ 1 << chance.randrange(128))
    if name == "at":
        return value + timedelta(microseconds=1 << chance.randrange(20))
    if name == "subjects":
        key = chance.choice(sorted(value))
        return {**value, key: flipped(chance, value, key)}
    place, bit = chance.randrange(len(value)), 1 << chance.randrange(5)
    return value[:place] + chr(ord(value[place]) ^ bit) + value[place + 1 :]


async def flip_a_bit(rig: Rig) -> str:
    position, row = await rig.one()
    name = rig.chance.choice([name for name in COLUMNS if row[name]])
    if rig.chance.random() < 0.2:
        (stored,) = (await rig.tx.execute(select(models.Leaf.hash).where(*rig.leaf(position)))).scalars()
        await rig.run(update(models.Leaf).where(*rig.leaf(position)).values(hash=flipped(rig.chance, {"hash": stored}, "hash")))
        return f"a bit of the leaf at {position}"
    await rig.run(update(LedgerEntry).where(LedgerEntry.id == row["id"]).values({name: flipped(rig.chance, row, name)}))
    return f"a bit of {name} at {position}"


async def edit_a_field(rig: Rig) -> str:
    """With the hash that the log holds of it, every other time."""
    position, row = await rig.one()
    name = rig.chance.choice([one for one in COLUMNS if one != "id"])
    edited = {**row, name: another(rig.chance, row, name)}
    await rig.run(update(LedgerEntry).where(LedgerEntry.id == row["id"]).values({name: edited[name]}))
    if rig.chance.random() < 0.5:
        await rig.run(update(models.Leaf).where(*rig.leaf(position)).values(hash=leaf_hash(leaf_bytes(edited))))
        return f"{name} at {position}, with its leaf"
    return f"{name} at {position}"


async def delete_in_the_middle(rig: Rig) -> str:
    position, row = await rig.one()
    how = rig.chance.choice(("the entry", "with its leaf", "and all after it moved up"))
    await rig.run(delete(LedgerEntry).where(LedgerEntry.id == row["id"]))
    if how != "the entry":
        await rig.run(delete(models.Leaf).where(*rig.leaf(position)))
    if how == "and all after it moved up":
        await rig.shift(position + 1, -1)
    return f"{position} removed, {how}"


async def delete_the_tail(rig: Rig) -> str:
    """The last entries and all that the log says of them, but for the copy outside."""
    rows = await rig.rows()
    left = rig.chance.randrange(rig.copied)
    gone = [row["id"] for row in rows[left:]]
    await rig.run(delete(LedgerEntry).where(LedgerEntry.id.in_(gone)))
    await cut(rig, left, checkpoints=rig.chance.random() < 0.5)
    return f"all from {left} on"


async def cut(rig: Rig, left: int, *, checkpoints: bool) -> None:
    own = rig.organization_id
    await rig.run(delete(models.Leaf).where(models.Leaf.organization_id == own, models.Leaf.position >= left))
    for level in (1, 2):
        whole = left >> level * TILE_LEVELS
        of_level = (models.Subtree.organization_id == own, models.Subtree.level == level, models.Subtree.position >= whole)
        await rig.run(delete(models.Subtree).where(*of_level))
    if checkpoints:
        await rig.run(delete(models.Checkpoint).where(models.Checkpoint.organization_id == own, models.Checkpoint.size > left))
        await rig.run(update(models.Head).where(models.Head.organization_id == own).values(size=left, read_back=left))


async def insert_one(rig: Rig) -> str:
    """An entry that looks like another, with a leaf in the midst of the log, or without."""
    position, row = await rig.one()
    made = {**row, "id": UUID(int=row["id"].int ^ 1), "commitment": rig.chance.randbytes(32)}
    await rig.run(insert(LedgerEntry).values(**made))
    if rig.chance.random() < 0.3:
        await rig.run(delete(models.Pending).where(models.Pending.entry_id == made["id"]))
        return f"past the log, beside {position}"
    await rig.run(delete(models.Pending).where(models.Pending.entry_id == made["id"]))
    await rig.shift(position, 1)
    leaf = {"entry_id": made["id"], "hash": leaf_hash(leaf_bytes(made))}
    await rig.run(insert(models.Leaf).values(organization_id=rig.organization_id, position=position, **leaf))
    return f"at {position}"


async def swap_two(rig: Rig) -> str:
    """Their ids alone, or with their hashes."""
    first = rig.chance.randrange(rig.copied)
    second = (first + rig.chance.randrange(1, rig.copied)) % rig.copied
    query = select(models.Leaf.position, models.Leaf.entry_id, models.Leaf.hash).where(
        models.Leaf.organization_id == rig.organization_id, models.Leaf.position.in_((first, second))
    )
    found = {position: {"entry_id": entry, "hash": value} for position, entry, value in (await rig.tx.execute(query)).all()}
    whole = rig.chance.random() < 0.5
    await rig.run(update(models.Leaf).where(*rig.leaf(first)).values(entry_id=uuid7()))
    for here, there in ((second, first), (first, second)):
        values = found[there] if whole else {"entry_id": found[there]["entry_id"]}
        await rig.run(update(models.Leaf).where(*rig.leaf(here)).values(**values))
    return f"{first} and {second}{', with their hashes' if whole else ''}"


async def rewrite_everything(rig: Rig) -> str:
    """Change, remove, insert or swap something, then make every hash, subtree and checkpoint anew, with the real key."""
    rows = await rig.rows()
    position = rig.chance.randrange(rig.copied)
    how = rig.chance.choice(("changed", "removed", "inserted", "swapped"))
    if how == "changed":
        name = rig.chance.choice([one for one in COLUMNS if one not in ("id", "organization_id")])
        rows[position] = {**rows[position], name: another(rig.chance, rows[position], name)}
        await rig.run(update(LedgerEntry).where(LedgerEntry.id == rows[position]["id"]).values({name: rows[position][name]}))
    elif how == "removed":
        await rig.run(delete(LedgerEntry).where(LedgerEntry.id == rows.pop(position)["id"]))
    elif how == "inserted":
        made = {**rows[position], "id": uuid7(), "commitment": rig.chance.randbytes(32)}
        await rig.run(insert(LedgerEntry).values(**made))
        rows.insert(position, made)
    else:
        other = (position + rig.chance.randrange(1, rig.copied)) % rig.copied
        rows[position], rows[other] = rows[other], rows[position]
    await log_anew(rig, rows)
    return f"{how} at {position}, everything signed again"


async def log_anew(rig: Rig, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a whole log over these entries, as if it had always been so."""
    own = {"organization_id": rig.organization_id}
    signed = select(models.Checkpoint.size, models.Checkpoint.at).where(
        models.Checkpoint.organization_id == own["organization_id"]
    )
    before: dict[int, datetime] = dict(map(tuple, (await rig.tx.execute(signed)).all()))
    for table in (models.Leaf, models.Subtree, models.Checkpoint, models.Pending):
        await rig.run(delete(table).where(table.organization_id == own["organization_id"]))
    hashes = [leaf_hash(leaf_bytes(row)) for row in rows]
    leaves = [{**own, "position": at, "entry_id": row["id"], "hash": hashes[at]} for at, row in enumerate(rows)]
    await rig.tx.execute(insert(models.Leaf), leaves)
    tree, here = Frontier(), 0
    for size in sorted({*(one for one in before if one <= len(rows)), len(rows)}):
        whole = tree.extend(hashes[here:size])
        here = size
        for (level, at), value in whole.items():
            await rig.run(insert(models.Subtree).values(**own, level=level // TILE_LEVELS, position=at, hash=value))
        checkpoint = notes.Checkpoint(rig.signer.key.name, size, tree.root())
        note = bytes(notes.Note(checkpoint.text, (rig.signer.sign(checkpoint.text),)))
        at = before.get(size) or max(before.values())
        await rig.run(insert(models.Checkpoint).values(**own, size=size, root=checkpoint.root, note=note, at=at))
    head = update(models.Head).where(models.Head.organization_id == own["organization_id"])
    await rig.run(head.values(size=len(rows), read_back=len(rows)))


async def roll_back(rig: Rig) -> str:
    """Everything as it was at an older checkpoint: an old backup, put in again."""
    query = select(models.Checkpoint.size).where(models.Checkpoint.organization_id == rig.organization_id)
    sizes = [size for size in (await rig.tx.execute(query)).scalars() if size < rig.copied]
    left = rig.chance.choice(sizes)
    gone = [row["id"] for row in (await rig.rows())[left:]]
    await rig.run(delete(LedgerEntry).where(LedgerEntry.id.in_(gone)))
    await rig.run(delete(models.Pending).where(models.Pending.organization_id == rig.organization_id))
    await cut(rig, left, checkpoints=True)
    return f"to {left} entries"


async def change(rig: Rig) -> str:
    return await rig.chance.choice((flip_a_bit, edit_a_field))(rig)


KINDS: Mapping[str, Callable[[Rig], Awaitable[str]]] = {
    "change": change,
    "delete middle": delete_in_the_middle,
    "delete tail": delete_the_tail,
    "insert": insert_one,
    "swap": swap_two,
    "rewrite": rewrite_everything,
    "rollback": roll_back,
}
"""The seven kinds of tampering. A change is of one bit, or of a whole field."""


NAMED = {
    "delete tail": {Kind.REMOVED, Kind.ROLLED_BACK},
    "rewrite": {Kind.REWRITTEN, Kind.ROLLED_BACK},
    "rollback": {Kind.ROLLED_BACK},
}
"""By what name some kinds must be called, among others."""


@dataclass(frozen=True)
class Grown:
    """A log of some size, with what was kept of it elsewhere: an old checkpoint, and a witness's copy of the same."""

    organization_id: UUID
    signer: notes.Signer
    size: int
    copied: int
    old: Copy
    witnessed: Copy
    witness: notes.Key


class Undone(Exception):
    """Nothing of it is to be kept."""


async def grow(database: Database, keyring: Keyring, organization_id: UUID, sizes: Sequence[int]) -> Grown:
    """Write so many entries between checkpoints; the copies are of the last but one."""
    for count in sizes:
        async with database.begin() as tx:
            own = (tx, keyring, organization_id, Act.VIEW)
            for number in range(count):
                who = {"actor": Actor(uuid7(), "counsel"), "member_id": uuid7() if number % 2 else None}
                await append(*own, facts={"n": number}, receipt=uuid7(), **who)
        await integrate(database, keyring, "h.example")
    witness = notes.Signer("w.example", notes.Kind.COSIGNATURE, bytes(range(32)))
    async with database.begin(read_only=True) as tx:
        query = select(models.Checkpoint).where(models.Checkpoint.organization_id == organization_id)
        newest, row = (await tx.execute(query.order_by(models.Checkpoint.size.desc()).limit(2))).scalars().all()
        signer = await _signer(tx, keyring, organization_id, "")
    old = read_copy("the old checkpoint", row.note)
    cosigned = bytes(old.note.with_lines([witness.sign(old.note.text, 1_700_000_000)]))
    return Grown(organization_id, signer, newest.size, row.size, old, read_copy("the witness's copy", cosigned), witness.key)


async def tampered(owner: Database, grown: Grown, kind: str, seed: int) -> tuple[str, Report]:
    """Do one kind's worst, verify the log in the same transaction, and undo it; what was done, and how the log was found.

    The triggers are taken away before.
    Every other time it is held against the old checkpoint alone, else against the witness's copy.
    """
    chance = random.Random(f"{kind} {seed}")
    copies = [grown.old] if seed % 2 else [grown.witnessed]
    told: tuple[str, Report] | None = None
    with suppress(Undone):
        async with owner.begin() as tx:
            did = await KINDS[kind](Rig(tx, grown.organization_id, grown.signer, chance, grown.copied))
            told = did, await verify(tx, grown.organization_id, copies, [] if seed % 2 else [grown.witness])
            raise Undone
    assert told is not None
    return told


@asynccontextmanager
async def rigged(world: World, sizes: Sequence[int]) -> AsyncIterator[tuple[Database, Grown]]:
    """The database as its owner has it, and a log of so many entries between checkpoints in it."""
    await world.workers.drain()
    grown = await grow(world.context.database, world.context.keyring, world.union.id, sizes)
    owner = Database(world.owner_url, ITSELF)
    async with owner.begin() as tx:
        await take_triggers_away(await tx.connection())
    yield owner, grown
    await owner.close()


async def missed(owner: Database, grown: Grown, kind: str, seed: int) -> str | None:
    """Do one kind's worst; what was done, if it was not found, or under a name that it does not have."""
    did, report = await tampered(owner, grown, kind, seed)
    names = {one.kind for one in report.findings}
    if report.is_whole or not names & NAMED.get(kind, names):
        return f"{kind} {seed}: {did}; found {sorted(names)}"
    return None
