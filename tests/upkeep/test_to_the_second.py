"""Between two backups: a base backup and archived WAL bring back any second, and the list of erasures holds there too.

As docs/running.md describes it, on a PostgreSQL of its own that archives as in production.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from app.kit.migrate import upgrade
from app.upkeep import journal
from tests.conftest import run_apart
from tests.crash.cluster import DURABLE, Cluster
from tests.members.test_erasure import BOTH, erase, everything_that_opens
from tests.support.world import World, alert, fill, make_world
from tests.upkeep.places import Places
from tests.upkeep.test_stays_erased import restored_world

ARCHIVING = {
    **DURABLE,
    "wal_level": "replica",
    "archive_mode": "on",
    "archive_command": "test ! -f {home}/archive/%f && cp %p {home}/archive/%f",
}


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = Cluster(ARCHIVING)
    made.make_archive()
    await made.start()
    yield made
    made.remove()


async def asked(world: World, question: str) -> datetime:
    async with world.context.database.begin(read_only=True) as tx:
        return (await tx.execute(text(question))).scalar_one()


@pytest.mark.slow
async def test_a_lost_machine_comes_back_to_the_second_before_and_who_was_erased_since_stays_erased(
    cluster: Cluster, tmp_path: Path
) -> None:
    url = await cluster.server.create_database("harmline")
    run_apart(lambda: upgrade(url))
    known = await fill(url)
    async with make_world(url, known) as world:
        places = Places(world, tmp_path, "")
        await world.deliver(BOTH)
        cluster.copy_base()
        await world.deliver(alert(id="since", member="ref-M-2", summary="Words that came since"))
        await world.workers.drain()
        moment = await asked(world, "SELECT clock_timestamp()")
        assert await erase(world) == 204
        await journal.keep(world.context.database, places.journal)
        await world.deliver(alert(id="late", member="ref-M-2", summary="Words that came too late"))
        await cluster.server.execute("SELECT pg_switch_wal()")
        await cluster.server.execute("CHECKPOINT")
        cluster.stop()  # in good order, so that everything is archived; then the disk is gone
    await cluster.come_back(moment)
    async with make_world(url, known) as recovered:
        assert "Canary words" in await everything_that_opens(recovered, known.top_key), "without the list they would be back"
        places = Places(recovered, tmp_path, await cluster.server.create_database("empty"))
        done = await places.restore(await places.back_up())
        assert done.applied.members == 1
        opened = await restored_world(places)
    assert "Words that came since" in opened
    assert "Words that came too late" not in opened
    assert "Canary words" not in opened
