"""What `ledger verify` says of a log that lost everything but its entries, and of what authorities stamped of another one."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import delete, update

from app.ledger import models
from app.ledger.findings import Kind
from app.ledger.verifying import organizations, verify
from tests.ledger.attested import attesting, grow, kept
from tests.ledger.authority import authority
from tests.ledger.test_sequencing import as_owner
from tests.support.world import World


async def found(world: World) -> set[Kind]:
    async with world.context.database.begin(read_only=True) as tx:
        return {one.kind for one in (await verify(tx, world.union.id)).findings}


async def test_a_log_of_which_only_the_entries_are_left_is_looked_at_too(world: World) -> None:
    await grow(world, 3)
    for table in (models.Head, models.Pending, models.Leaf, models.Subtree, models.Checkpoint, models.Signer):
        await as_owner(world, delete(table).where(table.organization_id == world.union.id))
    async with world.context.database.begin(read_only=True) as tx:
        assert world.union.id in await organizations(tx)
    assert await found(world) == {Kind.INSERTED}


async def test_a_checkpoint_that_is_not_the_one_that_was_stamped_is_told(world: World, tmp_path: Path) -> None:
    older, newest = await grow(world, 2), await grow(world)
    async with authority(tmp_path / "authority") as stamps:
        assert await attesting(world, {"stamps.example": stamps}).stamp() >= 1
    (stamped,) = await kept(world, models.Timestamp)
    assert (await found(world), stamped.size) == (set(), newest.size)
    mine = (models.Timestamp.organization_id == world.union.id, models.Timestamp.authority == "stamps.example")
    await as_owner(world, update(models.Timestamp).where(*mine).values(size=older.size))
    assert await found(world) == {Kind.REWRITTEN}
    await as_owner(world, update(models.Timestamp).where(*mine).values(size=newest.size + 1))
    assert await found(world) == {Kind.ROLLED_BACK}
    await as_owner(world, update(models.Timestamp).where(*mine).values(size=newest.size, response=b"nonsense"))
    assert await found(world) == {Kind.REWRITTEN}
    await as_owner(world, update(models.Timestamp).where(*mine).values(response=stamped.response))
    assert await found(world) == set()
