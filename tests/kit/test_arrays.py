"""Arrays go to PostgreSQL as it reads them, whatever is in them, and what is none of their kind is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from app.kit import arrays
from app.kit.at_once import driver_options
from app.kit.database import Database
from app.kit.ids import uuid7

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

NOW = datetime(2023, 6, 1, 12, 30, 1, 250, tzinfo=UTC)
VALUES: dict[str, list[Any]] = {
    "uuid": [uuid7(), UUID(int=0), UUID(int=2**128 - 1)],
    "bytea": [b"", b"\x00\xff" * 700, bytearray(b"a"), memoryview(b"b")],
    "text": ["", "NULL", "it's", '{"a",b}\\', "é😀", "x" * 10_000],
    "varchar": ["", "a,b", "ü"],
    "timestamptz": [
        NOW,
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        NOW.astimezone(timezone(timedelta(hours=-7))),
    ],
}
NOT_OF_IT: dict[str, list[Any]] = {
    "uuid": [b"a" * 16, 7, "no id"],
    "bytea": ["text", 7],
    "text": [b"bytes", 7, "\ud800"],
    "varchar": [b"bytes", 7],
    "timestamptz": [NOW.replace(tzinfo=None), NOW.date(), "2023-06-01", 7],
}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """asyncpg's own, as every engine's is once it is taught."""
    database = Database(database_url)
    plain = await asyncpg.connect(**driver_options(database.engine))
    yield plain
    await plain.close()
    await database.close()


async def each(connection: asyncpg.Connection, kind: str, values: Any) -> list[Any]:
    rows = await connection.fetch(f"SELECT one FROM unnest($1::{kind}[]) AS given(one)", values)
    return [row["one"] for row in rows]


def aware(value: Any) -> Any:
    """The driver gives the first and the last moment there is without a time zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


@pytest.mark.parametrize("kind", VALUES)
async def test_what_goes_over_is_what_the_driver_would_send(connection: asyncpg.Connection, kind: str) -> None:
    given = VALUES[kind]
    lists = [given, [], [None], [*given, None], [None, *given], given[:1] * 3, tuple(given)]
    before = [await each(connection, kind, one) for one in lists]
    arrays.teach(connection)
    for one, values in zip(lists, before, strict=True):
        assert await each(connection, kind, one) == values
        assert await connection.fetchval(f"SELECT $1::{kind}[]", one) == values
        assert list(map(aware, values)) == list(one)
    assert await connection.fetchval(f"SELECT $1::{kind}[]", None) is None


@pytest.mark.parametrize("kind", VALUES)
async def test_what_is_none_of_its_kind_is_refused(connection: asyncpg.Connection, kind: str) -> None:
    arrays.teach(connection)
    for wrong in NOT_OF_IT[kind]:
        for values in ([wrong], [VALUES[kind][0], wrong], [None, wrong], [[VALUES[kind][0]]], wrong):
            with pytest.raises(asyncpg.DataError):
                await each(connection, kind, values)
    assert await each(connection, kind, VALUES[kind][:1]) == VALUES[kind][:1]


async def test_an_id_may_be_written_out(connection: asyncpg.Connection) -> None:
    arrays.teach(connection)
    assert await each(connection, "uuid", [str(UUID(int=7)), None]) == [UUID(int=7), None]


async def test_every_connection_of_the_house_is_taught(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taught: list[object] = []
    teach = arrays.teach
    monkeypatch.setattr(arrays, "teach", lambda one: (taught.append(one), teach(one)))
    database = Database(database_url)
    async with database.begin(read_only=True) as tx:
        await tx.execute(text("SELECT 1"))
    async with database.begin() as one, database.begin() as other:
        await one.execute(text("SELECT 1"))
        await other.execute(text("SELECT 1"))
    await database.close()
    assert len(taught) == len(set(map(id, taught))) == 2
