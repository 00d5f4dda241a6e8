"""SQLite inside the event loop: whoever waits for the one writer holds up nobody, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from app.kit.database import Database

COUNT = text("SELECT count(*) FROM kept")
KEEP = text("INSERT INTO kept DEFAULT VALUES")


@pytest.fixture
async def two(tmp_path: Path) -> tuple[Database, Database]:
    """Two processes' worth of engines on one file."""
    url = f"sqlite+aiosqlite:///{tmp_path}/two.db"
    first, second = Database(url), Database(url)
    async with first.begin() as tx:
        await tx.execute(text("CREATE TABLE kept (id INTEGER PRIMARY KEY)"))
    return first, second


async def _keep(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(KEEP)


async def test_waiting_for_another_writer_leaves_the_loop_free(two: tuple[Database, Database]) -> None:
    holder, waiter = two
    async with holder.begin() as tx:
        await tx.execute(KEEP)
        waiting = asyncio.create_task(_keep(waiter))
        longest = 0.0
        for _ in range(30):
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - before)
        assert not waiting.done()
    await waiting
    assert longest < 1.0, "the loop stood still: the wait was for up to 30 seconds"
    async with waiter.begin(read_only=True) as tx:
        assert (await tx.execute(COUNT)).scalar_one() == 2


async def test_who_gives_up_while_waiting_does_not_keep_the_writer(two: tuple[Database, Database]) -> None:
    holder, waiter = two
    async with holder.begin() as tx:
        await tx.execute(KEEP)
        waiting = asyncio.create_task(_keep(waiter))
        await asyncio.sleep(0.05)
        waiting.cancel()
        before = time.perf_counter()
        await asyncio.sleep(0.05)
        assert time.perf_counter() - before < 5.0, "giving up stood behind the writer, and the loop with it"
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5):
        await _keep(holder)
        await _keep(waiter)
    async with waiter.begin(read_only=True) as tx:
        assert (await tx.execute(COUNT)).scalar_one() == 3


async def test_commits_are_flushed_and_references_checked(two: tuple[Database, Database]) -> None:
    async with two[0].begin(read_only=True) as tx:
        for pragma, expected in (("synchronous", 2), ("foreign_keys", 1), ("journal_mode", "wal"), ("recursive_triggers", 1)):
            assert (await tx.execute(text(f"PRAGMA {pragma}"))).scalar_one() == expected


async def test_what_was_deleted_or_written_over_is_next_to_gone_from_the_file(tmp_path: Path) -> None:
    """Above all destroyed keys: whoever has the top key could otherwise take them up from pages that hold nothing any more."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db")
    keys = [f"{number:04d}-destroyed-key".encode() * 8 for number in range(200)]
    async with database.begin() as tx:
        await tx.execute(text("CREATE TABLE k (id INTEGER PRIMARY KEY, wrapped BLOB)"))
        for number, key in enumerate(keys):
            await tx.execute(text("INSERT INTO k VALUES (:id, :wrapped)"), {"id": number, "wrapped": key})
    async with database.begin() as tx:
        await tx.execute(text("UPDATE k SET wrapped = NULL WHERE id % 3 = 0"))
        await tx.execute(text("DELETE FROM k WHERE id % 3 = 1"))
    await database.close()
    found = (tmp_path / "x.db").read_bytes()
    assert not (tmp_path / "x.db-wal").exists()
    assert all(key[:18] in found for key in keys[2::3])
    left = [key for number, key in enumerate(keys) if number % 3 != 2 and key[:18] in found]
    assert len(left) <= 2, "without the pragma 89 of 134; with it a copy may stay where a page was split before"
