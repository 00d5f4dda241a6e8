"""Whoever migrates may be killed at any statement: everything is as it was, and the next one migrates without anybody's hand."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from app.kit.database import Database
from app.tables import metadata
from tests.api.test_canaries import dump
from tests.migrations.test_migrations import REVISIONS, fill, revise, tables
from tests.support.world import World

Migrate = Callable[[str, int], int]

FROM = REVISIONS[-8]
"""Eight migrations are done at once: tables made and changed, rows moved, and the second wall taken down and raised."""


@pytest.fixture
def migrate(world: World) -> Iterator[Migrate]:
    """Migrates to the newest schema, and dies at the how-manieth step; 0: lives. How many steps were reached."""
    command = [sys.executable, "-m", "tests.migrations.dying"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        order, heard = process.stdin, process.stdout

        def ordered(to: str, die_at: int) -> int:
            order.write(json.dumps({"url": world.owner_url, "to": to, "die_at": die_at}) + "\n")
            order.flush()
            return int(heard.readline())

        yield ordered
        order.close()


async def whole(world: World) -> object:
    """Everything that the database holds: tables and rows; what keeps it, too."""
    if world.context.database.is_sqlite:
        with sqlite3.connect(world.owner_url.partition("///")[2]) as connection:
            return [*connection.iterdump()]
    rows = await dump(world.owner_url)
    owner = Database(world.owner_url)
    async with owner.begin(read_only=True) as tx:
        columns = (
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public'"
        )
        policies = "SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies"
        triggers = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"
        indexes = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        functions = "SELECT proname, pg_get_userbyid(proowner), prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        asked = (columns, policies, triggers, indexes, keys, functions)
        kept = [sorted(map(str, (await tx.execute(text(one))).all())) for one in asked]
    await owner.close()
    return rows, kept


@pytest.mark.parametrize(
    ("database_kind", "times"),
    [("sqlite", 4), *(pytest.param(kind, 25, marks=pytest.mark.slow) for kind in ("sqlite", "postgresql"))],
    indirect=["database_kind"],
)
async def test_whoever_migrates_may_be_killed_at_any_statement(world: World, migrate: Migrate, times: int) -> None:
    await fill(world)
    await revise(world, FROM)
    steps = migrate("head", 0)
    assert steps > 50
    assert await tables(world.context.database) == set(metadata.tables)
    await revise(world, FROM)
    await world.context.database.engine.dispose()
    before = await whole(world)
    deaths = sorted({1 + number * (steps - 1) // (times - 1) for number in range(times)})
    for die_at in deaths:
        assert migrate("head", die_at) == die_at
        assert await whole(world) == before, f"after a death at step {die_at} of {steps}"
    assert migrate("head", 0) == steps
    assert await tables(world.context.database) == set(metadata.tables)
