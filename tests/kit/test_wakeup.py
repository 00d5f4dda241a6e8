"""Wake-ups: told at once and only of what is committed; a lost one only delays, and a broken listener listens again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from app.kit import wakeup
from app.kit.database import Database
from app.kit.ticking import again_and_again
from app.kit.wakeup import CHANNEL, Listener, Wakeups, announce
from app.main import Workers, working
from app.operations import accounts
from tests.intake.counting import books
from tests.support.world import World, alert

LONG = 30.0
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


@asynccontextmanager
async def listening(database: Database, woken: Callable[[], None]) -> AsyncIterator[Listener]:
    listener = Listener(database, woken)
    task = asyncio.create_task(listener.run())
    await asyncio.wait_for(listener.connected.wait(), LONG)
    try:
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_commit_wakes_and_a_rollback_does_not(database: Database) -> None:
    woken = asyncio.Event()
    async with listening(database, woken.set):
        woken.clear()
        async with database.begin() as tx:
            await announce(tx)
            await tx.rollback()
        await asyncio.sleep(0.2)
        assert not woken.is_set()
        async with database.begin() as tx:
            await announce(tx)
            await announce(tx)
            await asyncio.sleep(0.2)
            assert not woken.is_set(), "not before it is committed"
        await asyncio.wait_for(woken.wait(), LONG)


@on_postgresql
async def test_a_listener_whose_connection_breaks_listens_again_and_makes_up_for_what_it_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeup, "FIRST_WAIT", 0.05)
    woken = asyncio.Event()
    async with listening(database, woken.set) as listener:
        woken.clear()
        admin = await asyncpg.connect(database.url.replace("+asyncpg", ""))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE $1 AND pid <> pg_backend_pid()"
        assert await admin.fetch(ended, f"%LISTEN%{CHANNEL}%")
        async with database.begin() as tx:
            await announce(tx)
        await asyncio.wait_for(woken.wait(), LONG)
        await asyncio.wait_for(listener.connected.wait(), LONG)
        woken.clear()
        await admin.execute(f"NOTIFY {CHANNEL}")
        await asyncio.wait_for(woken.wait(), LONG)
        await admin.close()


async def test_work_runs_once_more_for_what_was_announced_while_it_ran(database: Database) -> None:
    begun, go_on = asyncio.Queue[int](), asyncio.Semaphore(0)

    async def work() -> None:
        begun.put_nowait(1)
        await go_on.acquire()

    wakeups = Wakeups(database, work)
    task = asyncio.create_task(wakeups.run())
    await asyncio.wait_for(wakeups.listener.connected.wait(), LONG)
    wakeups.listener._woken()
    await asyncio.wait_for(begun.get(), LONG)
    for _ in range(3):
        wakeups.listener._woken()
    go_on.release()
    await asyncio.wait_for(begun.get(), LONG)
    go_on.release()
    await asyncio.sleep(0.2)
    assert begun.empty()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until_handled(world: World) -> None:
    for _ in range(int(LONG / 0.05)):
        if (await accounts(world.context, world.union.id))["waiting"] == 0:  # read while a worker works: they need not close yet
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def test_an_announced_delivery_is_handled_long_before_the_next_tick_and_a_lost_one_by_it(world: World) -> None:
    slow = world.context.settings.model_copy(update={"worker_interval": 3600.0})
    object.__setattr__(world.context, "settings", slow)
    workers = Workers(world.context)
    async with working(world.context, workers):
        await asyncio.sleep(0.3)
        await world.deliver(alert())
        async with world.context.database.begin() as tx:
            await announce(tx)
        await until_handled(world)
        await world.deliver(alert(id="a-2"))  # of this one nobody is told
    await again_and_again(workers.tick, "work")()
    assert (await books(world))["waiting"] == 0
