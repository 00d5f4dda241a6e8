"""Many at once, and a store that is away: nothing doubled, nothing lost, and whoever sends is told the truth."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DataError, DBAPIError

from app.intake import handling
from app.intake.workers import handle_waiting
from app.kit.database import Database, Transaction
from app.kit.ticking import again_and_again
from app.main import Workers
from tests.intake.counting import books, receipts
from tests.support.rows import contents, counts, grown
from tests.support.world import World, alert

BODY = json.dumps(alert()).encode()
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


async def test_the_same_body_a_thousand_times_from_sixteen_clients_at_once_is_one_receipt(world: World) -> None:
    before = await counts(world.context.database)

    async def client(number: int) -> list[bool]:
        return [(await world.deliver(BODY, message_id=f"{number}-{n}")).json()["repeat"] for n in range(number, 1000, 16)]

    repeats = [repeat for answers in await asyncio.gather(*(client(n) for n in range(16))) for repeat in answers]
    assert (repeats.count(False), repeats.count(True)) == (1, 999)
    assert grown(before, await counts(world.context.database)) == {"receipt": 1, "ledger_entry": 1}
    (receipt,) = await receipts(world)
    assert receipt.repeats == 999
    (incident,) = await world.timeline()
    assert incident["alerts"] == 1
    assert (await books(world))["deliveries"] == 1000


@asynccontextmanager
async def store_away(world: World) -> AsyncIterator[None]:
    """While this is open, the database cannot be reached; after it, it can, with everything that was in it."""
    await world.context.database.engine.dispose()
    url = world.owner_url
    if world.context.database.is_sqlite:
        path = url.partition(":///")[2]
        os.rename(path, f"{path}.aside")
        os.mkdir(path)
        yield
        os.rmdir(path)
        os.rename(f"{path}.aside", path)
        return
    server, _, name = url.replace("+asyncpg", "").rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres")
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    yield
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await admin.close()


async def test_while_the_store_is_away_senders_are_told_to_come_again_and_nothing_is_lost(world: World) -> None:
    assert (await world.deliver(BODY)).status_code == 202
    before = await contents(world.context.database)
    async with store_away(world):
        for body in (alert(id="a-2", institution="Other Bank"), BODY):
            refused = await world.deliver(body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.headers["content-type"] == "application/problem+json"
            assert "aside" not in refused.text
        forged = await world.deliver(BODY, secret=world.other.connection.secret)
        assert forged.status_code == 503, "what cannot be checked is not refused for good"
        assert (await world.client.get("/readyz")).status_code == 503
        assert (await world.client.get("/livez")).status_code == 200
        for name, work in world.workers.ticks().items():
            with pytest.raises((DBAPIError, OSError)):
                await work()
            await again_and_again(work, name)()
    assert await contents(world.context.database) == before
    assert (await world.client.get("/readyz")).status_code == 200
    assert (await world.deliver(alert(id="a-2", institution="Other Bank"))).json()["repeat"] is False
    assert len(await world.timeline()) == 2


async def test_a_commit_that_fails_is_not_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await contents(world.context.database)

    async def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("app.intake.keeping._keep_each", fail)  # on SQLite
    monkeypatch.setattr("app.kit.at_once.AtOnce.fetch", fail)  # on PostgreSQL
    assert (await world.deliver(BODY)).status_code == 503
    monkeypatch.undo()
    assert await contents(world.context.database) == before
    assert (await world.deliver(BODY)).json()["repeat"] is False


@on_postgresql
async def test_connections_that_die_in_the_pool_cost_one_answer_at_most_each_and_no_delivery(world: World) -> None:
    """The server ends every connection; a sender that tries again gets through, and what was acknowledged is there."""
    assert (await world.deliver(BODY)).status_code == 202
    url = world.owner_url
    server, _, name = url.replace("+asyncpg", "").rpartition("/")
    admin = await asyncpg.connect(f"{server}/postgres")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    await admin.close()
    statuses = [(await world.deliver(alert(id="a-2", institution="Other Bank"))).status_code for _ in range(12)]
    assert set(statuses) <= {202, 503}
    assert statuses[-1] == 202
    for _ in range(12):
        with suppress(DBAPIError):  # the workers' own dead connections: what they do is done again at the next tick
            await world.workers.drain()
    assert len(await world.timeline()) == 2


@on_postgresql
async def test_two_sets_of_workers_at_once_do_nothing_twice(world: World) -> None:
    """They step over each other's receipts, and share alerts that arrive in many deliveries."""
    for number in range(40):
        batch = [alert(id=f"a-{n % 15}", institution=f"Bank {n % 15}") for n in range(number, number + 3)]
        ping = {"id": f"ping-{number}", "type": "ping"}  # so that no two deliveries are the same bytes
        assert (await world.deliver({"alerts": [*batch, ping]})).status_code == 202
    others = [Workers(world.context) for _ in range(2)]
    await asyncio.gather(*(workers.tick() for workers in (world.workers, *others)))
    timeline = await world.timeline()
    found = await books(world)
    assert (found["events"], found["new"], found["sightings"], found["waiting"]) == (160, 15, 105, 0)
    assert len(timeline) == 15


async def _seen(*due: str) -> frozenset[str]:
    return frozenset(due)


@on_postgresql
async def test_when_one_consumer_fails_the_others_end_what_they_have_begun(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a round goes on behind the back of the next one."""
    assert (await world.deliver(alert())).status_code == 202
    workers = Workers(world.context)
    ended: list[str] = []

    async def takes_its_time() -> int:
        await asyncio.sleep(0.05)
        ended.append("taken in")
        return 0

    async def fails() -> int:
        raise OSError("the store went away")

    monkeypatch.setattr(workers, "_take_in", takes_its_time)
    first = workers._workers[0]
    monkeypatch.setattr(first, "run", fails)
    monkeypatch.setattr(workers, "_look", lambda: _seen("taking in", first.consumer.name))
    with pytest.raises(OSError, match="went away"):
        await workers.tick()
    assert ended == ["taken in"]
    assert not await workers.is_idle()
    monkeypatch.undo()
    await workers.tick()
    assert await workers.is_idle()
    assert len(await world.timeline()) == 1


@on_postgresql
async def test_a_receipt_that_another_worker_holds_is_stepped_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
    inside, go_on = asyncio.Event(), asyncio.Event()
    handle_all: Callable[..., object] = handling.handle_all

    async def slow(*arguments: object) -> None:
        inside.set()
        await go_on.wait()
        await handle_all(*arguments)  # type: ignore[misc]

    monkeypatch.setattr(handling, "handle_all", slow)
    first = asyncio.create_task(handle_waiting(world.context.database, world.context.keyring))
    await inside.wait()
    monkeypatch.undo()
    other = Database(world.context.database.url)
    await world.deliver(alert(id="late", institution="Late Bank"))
    assert await handle_waiting(other, world.context.keyring) == 1
    go_on.set()
    assert await first == 3
    await other.close()
    assert len(await world.timeline()) == 4
    assert (await books(world))["events"] == 4


async def test_a_receipt_that_the_database_refuses_is_set_aside_and_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = (await world.deliver(alert(id="refused", institution="Refused Bank"))).json()["receipt"]
    await world.deliver(alert(id="good"))
    inserts = handling.repository.insert_events

    async def refusing(tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        if refused in {str(row["receipt_id"]) for row in rows}:
            raise DataError("INSERT", {}, ValueError("no such value"))
        await inserts(tx, rows)

    monkeypatch.setattr(handling.repository, "insert_events", refusing)
    (incident,) = await world.timeline()
    assert incident["alerts"] == 1
    states = {str(row.id): (row.state, row.reason) for row in await receipts(world)}
    assert states.pop(refused) == ("unsplittable", "handling failed: DataError")
    assert list(states.values()) == [("handled", None)]
