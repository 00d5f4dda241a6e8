"""The unit of work: what is only read is read as of one moment."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

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
