"""As whom a transaction acts begins and ends with it: whoever gets the connection next finds nothing of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.access.roles import Role
from app.access.walls import MEMBER
from app.kit.acting import ANYONE, DOOR, NOBODY, TAKE_ON, WORKER, Acting
from app.kit.database import Transaction, taking_on
from tests.support.logins import LOGIN, dsn
from tests.support.world import World

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
AT_ONCE = 30
GIVEN_UP = 4
SEEN = "SELECT array_agg(id) FROM member"
TOLD = "SELECT current_user || ':' || current_setting('harmline.member', true)"


def people(world: World) -> list[Acting]:
    return [
        Acting(MEMBER, tenant.id, tenant.accounts[who], tenant.members[who])
        for tenant in (world.union, world.other)
        for who in ("M-1", "M-2", "M-3")
    ]


async def look(tx: Transaction, me: Acting) -> None:
    """What a transaction finds without asking for anybody in particular must be its own, and all of that."""
    assert (await tx.execute(text(SEEN))).scalar_one() == [me.member_id]
    assert (await tx.execute(text(TOLD))).scalar_one() == f"{MEMBER}:{me.member_id}"


async def badly(world: World, me: Acting, how: int) -> None:
    """One transaction that ends in another way than well."""
    async with world.context.database.begin(acting=me) as tx:
        await look(tx, me)
        if how == 0:
            raise ZeroDivisionError
        if how == 1:
            await tx.execute(text("SELECT 1 / 0"))
        if how == 2:
            await tx.execute(text("SELECT 1 FROM alarm"))
        if how == 3:
            async with tx.begin_nested():
                await tx.execute(text("SELECT 1 / 0"))
        assert how == GIVEN_UP, "it ended well"
        await asyncio.sleep(30)


async def one(world: World, dice: random.Random) -> None:
    me = dice.choice(people(world))
    how = dice.randrange(10)
    if how < 4:
        with suppress(ZeroDivisionError, DBAPIError):
            await badly(world, me, how)
    elif how == GIVEN_UP:
        cancelled = asyncio.create_task(badly(world, me, how))
        await asyncio.sleep(dice.random() * 0.02)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
    elif how == 5:
        with pytest.raises(DBAPIError, match="permission denied"):
            async with world.context.database.begin(acting=NOBODY) as tx:
                await tx.execute(text(SEEN))
    elif how == 6:
        async with world.context.database.begin() as tx:
            assert len((await tx.execute(text(SEEN))).scalar_one()) == len(people(world))
    else:
        async with world.context.database.begin(read_only=how == 7, acting=me) as tx:
            await look(tx, me)


@pytest.mark.parametrize(
    "transactions", [pytest.param(500, marks=pytest.mark.sample), pytest.param(10_000, marks=pytest.mark.slow)]
)
@on_postgresql
async def test_nothing_bleeds_through_the_pool(world: World, transactions: int) -> None:
    """Interleaved, ended well, by exceptions, by the database, by giving up in the middle."""
    dice, left = random.Random(5), transactions

    async def hand() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one(world, dice)

    await asyncio.gather(*(hand() for _ in range(AT_ONCE)))
    async with world.context.database.engine.connect() as bare:
        assert (await bare.execute(text(TOLD))).scalar_one() in (f"{LOGIN}:", None)


@pytest.mark.long
@on_postgresql
async def test_requests_that_are_given_up_leave_nothing_to_those_after_them(world: World) -> None:
    async def timeline(browser: httpx.AsyncClient) -> int:
        return (await browser.get("/v1/me/timeline")).status_code

    async with await world.sign_in(Role.MEMBER, "M-1") as first, await world.sign_in(Role.MEMBER, "M-2") as second:
        for number in range(60):
            given_up = asyncio.create_task(timeline(first))
            await asyncio.sleep(0.0005 * number)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            seen = (await second.get("/v1/me/visits?own=true&limit=200")).json()["items"]
            assert all(visit["yours"] for visit in seen)
    for me in people(world):
        async with world.context.database.begin(acting=me) as tx:
            await look(tx, me)


@on_postgresql
async def test_two_clients_of_a_pooler_take_turns_on_one_connection(world: World) -> None:
    """As PgBouncer does it in transaction mode: the connection is reset by nobody between two transactions."""
    server = await asyncpg.connect(dsn(world.context.database.url))
    first, second, *_ = people(world)
    for number in range(200):
        me = (first, second)[number % 2]
        turn = server.transaction()
        await turn.start()
        await server.fetch(TAKE_ON, *me.values)
        assert await server.fetchval(SEEN) == [me.member_id]
        with suppress(asyncpg.PostgresError):
            if number % 5 == 0:
                await server.fetch("SELECT 1 / 0")
        await (turn.rollback() if number % 5 == 0 or number % 7 == 0 else turn.commit())
        assert await server.fetchval("SELECT current_user") == LOGIN
        assert not await server.fetchval("SELECT current_setting('harmline.member', true)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await server.fetch(SEEN)
        async with server.transaction():
            await server.fetch(TAKE_ON, *Acting(MEMBER).values)
            assert await server.fetchval(SEEN) is None, "who says nothing of themselves is nobody, not who was there before"
    await server.close()


@on_postgresql
async def test_who_one_was_before_in_the_same_transaction_does_not_stay(world: World) -> None:
    me = people(world)[0]
    async with world.context.database.begin(acting=me) as tx:
        await look(tx, me)
        connection = await tx.connection()
        await connection.exec_driver_sql(TAKE_ON, Acting(MEMBER).values)
        assert (await tx.execute(text(SEEN))).scalar_one() is None


@on_postgresql
async def test_what_a_request_is_handed_acts_for_nobody_until_the_gate_has_spoken(world: World) -> None:
    view = world.context.database.acting_as(NOBODY)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with view.begin() as tx:
            await tx.execute(text(SEEN))
    async with view.begin(acting=people(world)[0]) as tx:
        await look(tx, people(world)[0])
    async with world.context.database.begin() as tx:
        assert (await tx.execute(text("SELECT current_user"))).scalar_one() == WORKER.role


def test_all_four_values_are_said_each_time() -> None:
    who = UUID(int=7)
    assert Acting("x", who, None, None).values == ("x", str(who), "", "")
    assert ANYONE.values == ("harmline_anyone", "", "", "")


@on_postgresql
async def test_a_part_of_a_transaction_may_act_as_somebody_else_and_nothing_of_it_stays(world: World) -> None:
    me = people(world)[0]
    async with world.context.database.begin(acting=me) as tx:
        await look(tx, me)
        async with taking_on(tx, DOOR):
            assert (await tx.execute(text(TOLD))).scalar_one() == f"{DOOR.role}:"
            with pytest.raises(DBAPIError, match="permission denied"):
                async with tx.begin_nested():
                    await tx.execute(text(SEEN))
        await look(tx, me)
    with suppress(ZeroDivisionError):
        async with world.context.database.begin(acting=me) as tx, taking_on(tx, DOOR):
            raise ZeroDivisionError
    async with world.context.database.begin(acting=me) as tx:
        await look(tx, me)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_sqlite_knows_nobody_else(world: World) -> None:
    async with world.context.database.begin() as tx, taking_on(tx, DOOR):
        assert (await tx.execute(text("SELECT count(*) FROM member"))).scalar_one() > 0
