"""`database_url` gives each test a database of its own: what one test leaves, the next does not find."""

import sqlite3

import asyncpg
import pytest


async def execute(url: str, statement: str) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.partition(":///")[2]) as file:
            file.execute(statement)
        file.close()
        return
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_each_test_has_a_database_of_its_own(database_url: str, turn: str) -> None:
    await execute(database_url, f"CREATE TABLE left_behind AS SELECT '{turn}' AS turn")


async def test_the_database_is_migrated(database_url: str) -> None:
    await execute(database_url, "SELECT version_num FROM alembic_version")
