"""Money, moments and JSON come back from both databases exactly as they went in, or are refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, StatementError

from app.kit.database import Database, Money, PortableJson, UtcDateTime
from app.kit.outbox import Message, publish
from app.members.models import Employment

_NOBODY = UUID(int=0)

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("amount", Money),
    Column("moment", UtcDateTime),
    Column("value", PortableJson),
)
DIALECTS: list[Any] = [module.dialect() for module in (sqlite, postgresql)]
AMOUNTS = [
    "0.00",
    "0.01",
    "0.10",
    "-0.01",
    "2500.00",
    "0.1234",
    "0.3000",
    "999999999999.99",
    "-999999999999.99",
    "123456789012.34",
]
MOMENTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2023, 2, 5, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=-8))),
    datetime(2023, 11, 5, 1, 30, tzinfo=timezone(timedelta(hours=14))),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]


async def _with_things(url: str) -> Database:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(THINGS.metadata.create_all)
    return database


async def test_amounts_come_back_to_the_last_digit_and_sum_exactly(database_url: str) -> None:
    database = await _with_things(database_url)
    amounts = [Decimal(text) for text in AMOUNTS]
    async with database.begin() as tx:
        await tx.execute(insert(THINGS), [{"amount": amount} for amount in [*amounts, *[Decimal("0.10")] * 30]])
        back = (await tx.execute(select(THINGS.c.amount).order_by(THINGS.c.id).limit(len(amounts)))).scalars().all()
        assert back == amounts
        assert [str(amount) for amount in back[:3]] == ["0.00", "0.01", "0.10"]
        total = (await tx.execute(select(func.sum(THINGS.c.amount)).where(THINGS.c.id > len(amounts)))).scalar_one()
        assert Decimal(total) == Decimal("3.00")
    await database.close()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
@given(st.decimals(min_value=-(10**14), max_value=10**14, places=2))
def test_every_amount_in_cents_survives(dialect: Any, amount: Decimal) -> None:
    kept = Money().process_bind_param(amount, dialect)
    back = Money().process_result_value(kept, dialect)
    assert isinstance(kept, int)
    assert back == amount
    assert back.as_tuple().exponent == -2


async def test_an_amount_finer_than_it_can_be_kept_is_refused(database_url: str) -> None:
    database = await _with_things(database_url)
    for amount in ("0.00001", "1.23456"):
        with pytest.raises(StatementError, match="finer"):
            async with database.begin() as tx:
                await tx.execute(insert(THINGS).values(amount=Decimal(amount)))
    await database.close()


async def test_moments_come_back_in_utc_to_the_microsecond_and_sort_by_time(database_url: str) -> None:
    database = await _with_things(database_url)
    async with database.begin() as tx:
        await tx.execute(insert(THINGS), [{"moment": moment} for moment in reversed(MOMENTS)])
        back = (await tx.execute(select(THINGS.c.moment).order_by(THINGS.c.moment))).scalars().all()
        assert back == sorted(MOMENTS)
        assert {moment.utcoffset() for moment in back} == {timedelta(0)}
    await database.close()


async def test_a_moment_without_a_zone_is_refused(database_url: str) -> None:
    database = await _with_things(database_url)
    with pytest.raises(StatementError, match="time zone"):
        async with database.begin() as tx:
            await tx.execute(insert(THINGS).values(moment=datetime(2023, 1, 1)))  # noqa: DTZ001 - what is refused
    await database.close()


async def test_json_and_nothing_come_back_as_they_were(database_url: str) -> None:
    database = await _with_things(database_url)
    values: list[Any] = [{}, [], {"a": [1, 2, {"b": None}], "\u00e9": "\U0001f9ca", "": True}, "text", 0]
    async with database.begin() as tx:
        await tx.execute(insert(THINGS), [{"value": value} for value in values])
        assert (await tx.execute(select(THINGS.c.value).order_by(THINGS.c.id))).scalars().all() == values
        await tx.execute(insert(THINGS).values(id=99))
        assert (await tx.execute(select(THINGS.c.amount, THINGS.c.moment).where(THINGS.c.id == 99))).one() == (None, None)
    await database.close()


async def test_a_block_that_raises_leaves_nothing_behind(database_url: str) -> None:
    database = Database(database_url)

    async def fail(error: type[BaseException]) -> None:
        async with database.begin() as tx:
            await publish(tx, "topic", _NOBODY)
            raise error

    for error in (RuntimeError, asyncio.CancelledError):
        with pytest.raises(error):
            await fail(error)
    async with database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(Message))).scalar_one() == 0
    await database.close()


async def test_foreign_keys_are_kept_on_both_databases(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(IntegrityError):
        async with database.begin() as tx:
            await tx.execute(insert(Employment).values(member_id=_NOBODY, started_on=datetime(2020, 1, 1, tzinfo=UTC).date()))
    await database.close()


async def test_writers_of_one_process_wait_for_each_other_and_none_is_turned_away(database_url: str) -> None:
    database = Database(database_url)

    async def write() -> None:
        async with database.begin() as tx:
            before = (await tx.execute(select(func.count()).select_from(Message))).scalar_one()
            await publish(tx, "topic", _NOBODY, before=before)

    await asyncio.gather(*(write() for _ in range(60)))
    async with database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(Message))).scalar_one() == 60
    await database.close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_postgresql_commits_are_flushed_whatever_the_server_is_set_to(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as tx:
        assert (await tx.execute(text("SHOW synchronous_commit"))).scalar_one() == "on"
    await database.close()
