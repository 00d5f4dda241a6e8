"""The unit of work: what is only read is read as of one moment."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import bindparam, func, literal, select, update
from sqlalchemy.exc import DBAPIError

from app.kit.acting import ANYONE
from app.kit.database import Database
from app.kit.outbox import Message, publish

NOBODY = UUID(int=0)


async def said(database: Database) -> int:
    async with database.begin(read_only=True) as tx:
        return (await tx.execute(select(func.count()).select_from(Message))).scalar_one()


async def test_a_reader_sees_one_moment_however_many_statements_it_needs(database_url: str) -> None:
    """Else the accounts would seem not to close whenever a receipt is handled between two of their sums."""
    database = Database(database_url)
    async with database.begin() as tx:
        await publish(tx, "topic", NOBODY, number=1)
    async with database.begin(read_only=True) as reader:
        counting = select(func.count()).select_from(Message)
        first = (await reader.execute(counting)).scalar_one()
        async with database.begin() as tx:
            await publish(tx, "topic", NOBODY, number=2)
        assert (first, (await reader.execute(counting)).scalar_one()) == (1, 1)
    assert await said(database) == 2
    await database.close()


ASKED = select(Message.topic).where(Message.organization_id == bindparam("owner", type_=Message.organization_id.type))
TOLD = (
    update(Message)
    .where(Message.topic == bindparam("before"))
    .values(topic=bindparam("after"))
    .returning(Message.topic, literal(7))
    .execution_options(synchronize_session=False)
)


async def test_a_single_statement_is_a_unit_of_work_of_its_own(database_url: str) -> None:
    database = Database(database_url)
    async with database.begin() as tx:
        await publish(tx, "topic", NOBODY, number=1)
    assert [tuple(row) for row in await database.single(ASKED, owner=NOBODY)] == [("topic",)]
    assert [tuple(row) for row in await database.single(TOLD, before="topic", after="other")] == [("other", 7)]
    assert [tuple(row) for row in await database.single(TOLD, before="topic", after="other")] == []
    assert [tuple(row) for row in await database.single(ASKED, owner=NOBODY)] == [("other",)], "it was committed"
    await database.close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_a_single_statement_acts_as_the_view_it_is_asked_of(database_url: str) -> None:
    """The connections of single statements are the worker's: nobody else's statement may ever run on them."""
    database, who = Database(database_url), select(func.current_user())
    assert [tuple(row) for row in await database.single(who)] == [("harmline_worker",)]
    assert [tuple(row) for row in await database.acting_as(ANYONE).single(who)] == [("harmline_anyone",)]
    assert [tuple(row) for row in await database.single(who)] == [("harmline_worker",)]
    await database.close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_nothing_is_compiled_and_only_single_statements_are_planned_once(database_url: str) -> None:
    database = Database(database_url)
    asked = select(*(func.current_setting(name) for name in ("jit", "plan_cache_mode", "enable_seqscan")))
    async with database.begin() as tx:
        assert tuple((await tx.execute(asked)).one()) == ("off", "force_custom_plan", "on")
    assert [tuple(row) for row in await database.single(asked)] == [("off", "force_generic_plan", "off")]
    await database.close()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
async def test_a_reader_cannot_write_and_a_writer_after_it_can(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.begin(read_only=True) as tx:
            await publish(tx, "topic", NOBODY, number=1)
    async with database.begin() as tx:
        await publish(tx, "topic", NOBODY, number=2)
    assert await said(database) == 1
    await database.close()
