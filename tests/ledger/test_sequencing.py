"""The log follows the ledger: every entry gets one place, however it comes, and every checkpoint is over all before it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, insert, select, update
from sqlalchemy.ext.asyncio import create_async_engine

from app.access.roles import Role
from app.kit import clock
from app.kit.database import Database, Transaction
from app.kit.ids import uuid7
from app.ledger import models, notes, sequencing
from app.ledger.leaves import leaf_bytes
from app.ledger.models import LedgerEntry
from app.ledger.reading_back import read_back
from app.ledger.sequencing import Broken, integrate
from app.ledger.service import Act, append
from app.ledger.stored import columns, fetched, leaf_of
from app.ledger.tree import leaf_hash, root_of
from app.watch import logs
from tests.ledger.tampering import take_triggers_away
from tests.support.world import NOW, World, alert

HOST = "h.example"


async def noted(world: World, count: int, organization_id: UUID | None = None, tx: Transaction | None = None) -> list[UUID]:
    """So many entries, in a transaction of their own unless one is given."""
    if tx is not None:
        own = organization_id or world.union.id
        return [await append(tx, world.context.keyring, own, Act.VIEW, facts={"n": n}, receipt=uuid7()) for n in range(count)]
    async with world.context.database.begin() as new:
        return await noted(world, count, organization_id, new)


async def lengthen(world: World) -> int:
    return await integrate(world.context.database, world.context.keyring, HOST)


async def require_whole(database: Database, organization_id: UUID) -> int:
    """Places without a gap, each leaf its entry's, each checkpoint the root before it and signed; how many leaves."""
    async with database.begin(read_only=True) as tx:
        query = select(models.Leaf).where(models.Leaf.organization_id == organization_id).order_by(models.Leaf.position)
        leaves = (await tx.execute(query)).scalars().all()
        assert [one.position for one in leaves] == list(range(len(leaves)))
        for one in leaves:
            entry = await tx.get_one(LedgerEntry, one.entry_id)
            assert one.hash == leaf_hash(leaf_bytes({column: getattr(entry, column) for column in COLUMNS}))
        signers = (await tx.execute(select(models.Signer).where(models.Signer.organization_id == organization_id))).scalars()
        keys = [notes.Key(one.origin, notes.Kind.SIGNATURE, one.public_key) for one in signers]
        query = select(models.Checkpoint).where(models.Checkpoint.organization_id == organization_id)
        sizes = []
        for row in (await tx.execute(query.order_by(models.Checkpoint.size))).scalars():
            sizes.append(row.size)
            assert row.root == root_of([one.hash for one in leaves[: row.size]])
            checkpoint, _ = notes.open_checkpoint(row.note, keys)
            assert (checkpoint.size, checkpoint.root) == (row.size, row.root)
            assert checkpoint.origin.endswith(f"/ledger/{organization_id}")
        head = await tx.get(models.Head, organization_id)
        assert (head.size if head else 0) == len(leaves) == (sizes[-1] if sizes else 0)
        waiting = await count_of(tx, models.Pending, organization_id)
        assert waiting + len(leaves) == await count_of(tx, LedgerEntry, organization_id)
        full = await count_of(tx, models.Subtree, organization_id)
        assert full == sum(len(leaves) >> 8 * level for level in range(1, 8))
    return len(leaves)


COLUMNS = [column.key for column in LedgerEntry.__table__.columns]


async def count_of(tx: Transaction, table: Any, organization_id: UUID) -> int:
    query = select(func.count()).select_from(table).where(table.organization_id == organization_id)
    found: int = (await tx.execute(query)).scalar_one()
    return found


async def test_every_way_of_writing_an_entry_makes_it_wait_for_its_place(world: World) -> None:
    """The door, the pages, a member's own act, programs, workers, commands: each as the role that it acts as."""
    assert (await world.deliver(alert())).status_code == 202
    await world.workers.drain()
    (incident,) = await world.timeline()
    async with await world.sign_in(Role.MEMBER) as browser:
        detail = (await browser.get(f"/v1/incidents/{incident['id']}")).json()
        verdict = {"answer": "not_me", "shown": [source["alert_id"] for source in detail["sources"]]}
        assert (await browser.post(f"/v1/incidents/{incident['id']}/verdict", json=verdict)).status_code == 200
    for role in (Role.STAFF, Role.CASEWORKER, Role.COUNSEL, Role.ADMIN, Role.AUDITOR):
        async with await world.sign_in(role):
            pass
    await world.workers.drain()
    async with world.context.database.begin(read_only=True) as tx:
        entries = set((await tx.execute(select(LedgerEntry.id))).scalars())
        assert set((await tx.execute(select(models.Leaf.entry_id))).scalars()) == entries
        kinds = set((await tx.execute(select(LedgerEntry.kind))).scalars())
        assert (await tx.execute(select(func.count()).select_from(models.Pending))).scalar_one() == 0
    assert kinds >= {Act.RECEIPT, Act.NORMALISATION, Act.MATCH, Act.VERDICT, Act.SIGN_IN}
    for tenant in (world.union, world.other):
        await require_whole(world.context.database, tenant.id)


async def test_many_batches_of_several_logs_make_whole_logs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "BATCH", 100)
    await world.workers.drain()
    await noted(world, 700)
    await noted(world, 3, world.other.id)
    assert await lengthen(world) == 703
    assert await lengthen(world) == 0
    assert await require_whole(world.context.database, world.union.id) > 700
    assert await require_whole(world.context.database, world.other.id) >= 3
    assert await read_back(world.context.database) > 700
    assert await read_back(world.context.database) == 0


async def test_several_sequencers_with_writers_beside_them_leave_one_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencing, "BATCH", 7)

    async def write() -> None:
        for _ in range(10):
            await noted(world, 5)
            await asyncio.sleep(0)

    async def sequence() -> int:
        return sum([await lengthen(world) for _ in range(30)])

    results = await asyncio.gather(write(), sequence(), write(), sequence(), sequence())
    total = sum(one for one in results if isinstance(one, int))
    total += await lengthen(world)
    assert total >= 100
    assert await require_whole(world.context.database, world.union.id) >= 100
    async with world.context.database.begin(read_only=True) as tx:
        assert await count_of(tx, models.Pending, world.union.id) == 0


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_an_entry_of_a_late_transaction_is_not_stepped_over(world: World) -> None:
    await world.workers.drain()
    async with world.context.database.begin() as late:
        (old,) = await noted(world, 1, tx=late)
        await late.flush()
        (young,) = await noted(world, 1)
        assert old < young
        assert await lengthen(world) == 1
    assert await lengthen(world) == 1
    async with world.context.database.begin(read_only=True) as tx:
        places = {one.entry_id: one.position for one in (await tx.execute(select(models.Leaf))).scalars()}
    assert places[old] == places[young] + 1
    await require_whole(world.context.database, world.union.id)


async def test_a_sequencer_that_slept_past_its_lease_writes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.workers.drain()
    before = await require_whole(world.context.database, world.union.id)
    await noted(world, 3)
    hold = await sequencing._take_hold(world.context.database, world.union.id)
    assert hold is not None
    assert await lengthen(world) == 0, "another has the lease"
    clock.set_to(NOW + timedelta(minutes=1))
    assert await lengthen(world) == 3
    await noted(world, 2)
    with pytest.raises(sequencing.Fenced):
        await sequencing._one_batch(world.context.database, world.context.keyring, hold, HOST)
    assert await lengthen(world) == 2
    assert await require_whole(world.context.database, world.union.id) == before + 5


async def test_a_log_that_somebody_has_been_at_is_not_made_longer(world: World) -> None:
    await noted(world, 3)
    await world.workers.drain()
    await noted(world, 1)
    own = (models.Leaf.organization_id == world.union.id, models.Leaf.position == 1)
    await as_owner(world, update(models.Leaf).where(*own).values(hash=bytes(32)))
    await noted(world, 1, world.other.id)
    with pytest.raises(Broken, match="another root"):
        await lengthen(world)
    async with world.context.database.begin(read_only=True) as tx:
        assert await count_of(tx, models.Pending, world.union.id) == 1
        assert await count_of(tx, models.Pending, world.other.id) == 0, "the other log goes on"
        assert not await logs.is_amiss(tx, world.union.id)
        waiting = select(models.Pending.entry_id).where(models.Pending.organization_id == world.union.id)
        entry = (await tx.execute(waiting)).scalar_one()
    # by its id: those of this process never run backwards, and other tests were in the future
    clock.set_to(datetime.fromtimestamp((entry.int >> 80) / 1000, UTC) + timedelta(days=1))
    async with world.context.database.begin(read_only=True) as tx:
        assert await logs.is_amiss(tx, world.union.id)
        assert "wait for their place" in (await logs.told(tx, world.union.id))[0], "and, as far in the future, not verified"


async def test_a_bit_that_falls_over_is_found_when_it_is_read_again(world: World) -> None:
    await world.workers.drain()
    await noted(world, 4)
    await lengthen(world)
    place = await require_whole(world.context.database, world.union.id) - 2
    async with world.context.database.begin(read_only=True) as tx:
        (row,) = (
            await tx.execute(
                select(LedgerEntry)
                .join(models.Leaf, models.Leaf.entry_id == LedgerEntry.id)
                .where(models.Leaf.organization_id == world.union.id, models.Leaf.position == place)
            )
        ).scalars()
    bits = bytearray(row.commitment)
    bits[7] ^= 4
    change = update(LedgerEntry).where(LedgerEntry.id == row.id)
    await as_owner(world, change.values(commitment=bytes(bits)))
    assert await read_back(world.context.database) >= 2
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.get_one(models.Head, world.union.id)).read_back == place
    clock.set_to(NOW + timedelta(minutes=10))
    async with world.context.database.begin(read_only=True) as tx:
        assert await logs.unlike_what_was_written(tx, world.union.id) == place
    await as_owner(world, change.values(commitment=row.commitment))
    await read_back(world.context.database)
    async with world.context.database.begin(read_only=True) as tx:
        assert not await logs.is_amiss(tx, world.union.id)


async def as_owner(world: World, statement: Any) -> None:
    """One statement with the owner's rights, who takes the triggers away first."""
    engine = create_async_engine(world.owner_url)
    async with engine.begin() as owner:
        await take_triggers_away(owner)
        await owner.execute(statement)
    await engine.dispose()


async def test_while_keys_are_away_entries_wait(world: World) -> None:
    keyring = world.context.keyring
    await world.workers.drain()
    strange = uuid7()
    async with world.context.database.begin() as tx:
        row = {"id": uuid7(), "organization_id": strange, "kind": "view", "subjects": {}, "commitment": b"x", "at": NOW}
        await tx.execute(insert(LedgerEntry).values(**row))
    await noted(world, 1)
    assert await integrate(world.context.database, keyring, HOST) == 1, "who has no key holds up nobody"
    async with world.context.database.begin(read_only=True) as tx:
        assert await count_of(tx, models.Pending, strange) == 1


async def test_the_driver_and_the_models_read_the_same_leaves(world: World) -> None:
    odd: dict[str, Any] = {"kind": 'über\u2028"\\', "actor_role": "a\tb", "commitment": bytes(range(32))}
    odd["subjects"] = {"é": "x", "b": "\u0007", "a": "ü"}
    for number, at in enumerate((NOW, NOW.replace(microsecond=1), NOW.replace(year=1999, microsecond=120000))):
        row = {"id": uuid7(), "organization_id": world.union.id, "member_id": uuid7(), "at": at, **odd}
        async with world.context.database.begin() as tx:
            await tx.execute(insert(LedgerEntry).values(**row, actor_id=None if number else uuid7()))
    await noted(world, 3)
    async with world.context.database.begin(read_only=True) as tx:
        raw = await fetched(tx, f"SELECT {columns(tx)} FROM ledger_entry AS e ORDER BY e.id")
        entries = (await tx.execute(select(LedgerEntry).order_by(LedgerEntry.id))).scalars().all()
    assert [leaf_of(one) for one in raw] == [leaf_bytes({name: getattr(one, name) for name in COLUMNS}) for one in entries]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_a_batch_is_read_up_to_its_limit_whatever_the_statistics_say(world: World) -> None:
    """With old statistics the planner joined and sorted everything that waited, for each batch again."""
    database, asked = world.context.database, list[tuple[str, Any]]()

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    await noted(world, 3)
    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.begin() as tx:
        assert len(await sequencing._next(tx, world.union.id)) >= 3
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        statement, values = asked[-1]
        assert "ledger_pending" in statement
        connection = await tx.connection()
        plan = "\n".join(row[0] for row in await connection.exec_driver_sql("EXPLAIN " + statement, values))
    assert not re.search("Sort|Hash|Merge", plan), plan
    assert re.findall(r"using (\w+)", plan) == ["pk_ledger_pending", "pk_ledger_entry"], plan
