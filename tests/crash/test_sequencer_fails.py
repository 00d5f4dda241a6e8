"""Whatever step of the sequencer fails, and however: no gap, no fork, no entry without its place in the end (security H)."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from app.kit import clock
from app.kit.pulling import LEASE
from app.ledger import models, sequencing
from app.ledger.reading_back import read_back
from app.ledger.verifying import verify
from tests.crash.failing import Way
from tests.crash.test_every_await import until_nothing_fails, without_provider
from tests.ledger.test_sequencing import count_of, lengthen, noted
from tests.support.world import World

pytestmark = pytest.mark.slow


async def whole_leaves(world: World, organization_id: UUID) -> int:
    """How many leaves a log has, in which nothing is wrong."""
    async with world.context.database.begin(read_only=True) as tx:
        report = await verify(tx, organization_id)
    assert report.findings == []
    return report.leaves


@without_provider
async def test_the_sequencer(world: World, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two batches of a log: it is as it was before each, or as it is after."""
    monkeypatch.setattr(sequencing, "BATCH", 1)
    await world.workers.drain()

    async def write(_: int) -> None:
        await noted(world, 2)

    async def sequence(_: int) -> None:
        await lengthen(world)
        await read_back(world.context.database)

    async def again(_: int, __: bool) -> None:
        assert await whole_leaves(world, world.union.id) >= 0
        clock.set_to(clock.now() + LEASE + timedelta(seconds=1))
        await lengthen(world)
        await read_back(world.context.database)
        leaves = await whole_leaves(world, world.union.id)
        async with world.context.database.begin(read_only=True) as tx:
            assert await count_of(tx, models.Pending, world.union.id) == 0
            assert (await tx.get_one(models.Head, world.union.id)).read_back == leaves

    assert await until_nothing_fails(world, way, sequence, again, write) >= 15
