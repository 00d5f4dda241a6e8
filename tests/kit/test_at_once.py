"""Single statements that are a transaction of their own: done when they return, told as SQLAlchemy tells it when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.kit.at_once import AtOnce
from app.kit.database import Database

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.engine.begin() as owner:
        await owner.execute(text("CREATE TABLE told (number int PRIMARY KEY)"))
    yield opened
    await opened.close()


@pytest.fixture
def store(database: Database) -> AtOnce:
    assert database.at_once is not None
    return database.at_once


async def told(database: Database) -> list[int]:
    async with database.begin(read_only=True) as tx:
        return list((await tx.execute(text("SELECT number FROM told ORDER BY number"))).scalars())


async def test_what_has_returned_is_committed(database: Database, store: AtOnce) -> None:
    rows = await store.fetch("INSERT INTO told SELECT * FROM unnest($1::int[]) RETURNING number", [1, 2])
    assert [row["number"] for row in rows] == [1, 2]
    assert await told(database) == [1, 2]


async def test_its_commits_are_flushed_before_they_return(store: AtOnce) -> None:
    assert [row[0] for row in await store.fetch("SHOW synchronous_commit")] == ["on"]


async def test_a_statement_that_is_refused_leaves_nothing_and_costs_no_connection(database: Database, store: AtOnce) -> None:
    (before,) = await store.fetch(BACKEND)
    with pytest.raises(DBAPIError) as refused:
        await store.fetch("INSERT INTO told SELECT * FROM unnest($1::int[])", [1, 1])
    assert not isinstance(refused.value, OperationalError)
    assert "unnest" not in str(refused.value), "no statement, no value of it in any log"
    assert await told(database) == []
    assert await store.fetch(BACKEND) == [before]


async def test_a_store_that_is_away_is_told_apart_and_found_again(database: Database, store: AtOnce) -> None:
    ((backend,),) = await store.fetch(BACKEND)
    asked = asyncio.create_task(store.fetch("SELECT 1 FROM pg_sleep(30)"))
    await asyncio.sleep(0.1)
    async with database.engine.connect() as owner:
        await owner.execute(text(f"SELECT pg_terminate_backend({backend}, 5000)"))
    with pytest.raises(OperationalError):
        await asked
    (first,) = await store.fetch(BACKEND)
    assert await store.fetch(BACKEND) == [first]


async def test_a_restart_breaks_every_connection_and_none_of_them_is_asked_again(database: Database, store: AtOnce) -> None:
    """Each would cost the workers a whole turn, and the door a delivery, before the last of them is gone."""
    held = await asyncio.gather(*(store.fetch("SELECT pg_backend_pid() FROM pg_sleep(0.2)") for _ in range(3)))
    backends = [row[0] for rows in held for row in rows]
    assert len(set(backends)) == 3
    async with database.engine.connect() as owner:
        for backend in backends:
            await owner.execute(text(f"SELECT pg_terminate_backend({backend}, 5000)"))
    for _ in range(500):  # until the news is here
        if all(one.is_closed() for one in store._free):
            break
        await asyncio.sleep(0.01)
    for _ in range(3):
        ((now,),) = await store.fetch(BACKEND)
        assert now not in backends


async def test_a_crowd_waits_for_a_few_connections(store: AtOnce) -> None:
    held = await asyncio.gather(*(store.fetch("SELECT pg_backend_pid() FROM pg_sleep(0.05)") for _ in range(30)))
    assert len({row[0] for rows in held for row in rows}) <= 4


async def test_behind_a_pooler_that_swallows_who_acts_each_transaction_says_it(store: AtOnce) -> None:
    del store._options["server_settings"]["role"]
    assert [row[0] for row in await store.fetch("SELECT current_user")] == ["harmline_door"]
    assert store._behind_a_pooler
    assert [row[0] for row in await store.fetch("SELECT current_user")] == ["harmline_door"]
    with pytest.raises(DBAPIError):
        await store.fetch("SELECT 1 / 0")
    assert [row[0] for row in await store.fetch("SELECT current_user")] == ["harmline_door"]
    assert await store._free[0].fetchval("SELECT current_user") == "postgres", "nothing of it is left on the connection"


async def test_one_that_is_given_up_takes_its_connection_along_and_no_other(database: Database, store: AtOnce) -> None:
    given_up = asyncio.create_task(store.fetch("INSERT INTO told SELECT 1 FROM pg_sleep(30)"))
    await asyncio.sleep(0.2)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await store.fetch("INSERT INTO told VALUES (2)")
    assert await told(database) == [2]


async def test_a_wake_up_that_fails_is_told_to_nobody(database: Database, store: AtOnce) -> None:
    await database.engine.dispose()
    store._options["port"] = 1
    await store.notify("nobody")
    with pytest.raises(OperationalError):
        await store.fetch(BACKEND)
