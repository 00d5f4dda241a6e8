"""Ready says whether the work can be done, quickly, and what stands in the way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text

from app.kit import clock
from app.kit.health import STUCK_AFTER
from app.kit.outbox import LAST_ATTEMPT, Failure, publish
from tests.access.scene import Scene
from tests.support.world import NOW, World


async def test_a_healthy_service_is_ready(world: World) -> None:
    assert (await world.client.get("/livez")).json()["status"] == "alive"
    answer = await world.client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "problems": []})


async def test_a_writer_at_work_does_not_hold_it_up(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish(tx, "test.nothing", world.union.id)
        answer = await asyncio.wait_for(world.client.get("/readyz"), timeout=5)
    assert answer.status_code == 200


async def test_each_thing_that_stands_in_the_way_is_named(world: World) -> None:
    async with world.context.database.begin() as tx:
        await publish(tx, "test.nothing", world.union.id)
        tx.add(Failure(consumer="x", message_id=Scene.missing(), attempts=LAST_ATTEMPT, next_attempt_at=None, error="E"))
        await tx.execute(text("UPDATE alembic_version SET version_num = 'another'"))
    clock.set_to(NOW + STUCK_AFTER + timedelta(seconds=1))
    answer = await world.client.get("/readyz")
    assert answer.status_code == 503
    for word in ("harmline migrate", "1 messages could not be handled", "is a worker running"):
        assert word in answer.json()["detail"]
