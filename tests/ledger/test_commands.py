"""`harmline ledger verify` says in plain words what is wrong, and ends with 1 then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from typer.testing import CliRunner

from app.cli import cli
from app.kit.config import settings as service_settings
from app.ledger import models
from app.ledger.models import LedgerEntry
from tests.ledger.test_sequencing import as_owner, lengthen, noted
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["ledger", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


async def entry_at(world: World, position: int) -> LedgerEntry:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(LedgerEntry).join(models.Leaf, models.Leaf.entry_id == LedgerEntry.id)
        return (
            await tx.execute(query.where(models.Leaf.organization_id == world.union.id, models.Leaf.position == position))
        ).scalar_one()


@on_sqlite
async def test_what_it_says(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs_as_before: None) -> None:
    monkeypatch.setenv("HARMLINE_DATABASE_URL", world.owner_url)
    service_settings.cache_clear()
    await world.workers.drain()
    await noted(world, 5)
    await lengthen(world)
    own = ("--organization", str(world.union.id))
    verify = ("verify", *own)

    async def asked(*arguments: str) -> tuple[int, str]:
        return await asyncio.to_thread(told, *arguments)

    code, note = await asked("checkpoint", *own)
    old = tmp_path / "old"
    old.write_text(note)
    assert (code, note.splitlines()[0].rpartition("/")[2]) == (0, str(world.union.id))
    code, key = await asked("key", *own)
    assert (code, key.startswith(note.splitlines()[0])) == (0, True)
    await noted(world, 2)
    await lengthen(world)
    code, said = await asked("verify")
    assert (code, said.count(": whole ("), said.count("NOT WHOLE")) == (0, 2, 0)
    assert (await asked(*verify, "--against", str(old)))[0] == 0
    assert (await asked("verify", "--organization", str(world.other.id), "--against", str(old)))[0] == 1
    assert (await asked(*verify, "--witness", "nonsense"))[0] == 2

    row = await entry_at(world, 2)
    await as_owner(world, update(LedgerEntry).where(LedgerEntry.id == row.id).values(kind="merge"))
    code, said = await asked(*verify)
    assert code == 1
    assert f"changed: Entry {row.id} at position 2 was changed" in said
    await as_owner(world, update(LedgerEntry).where(LedgerEntry.id == row.id).values(kind=row.kind))
    assert (await asked(*verify))[0] == 0

    gone = await entry_at(world, 3)
    await as_owner(world, delete(LedgerEntry).where(LedgerEntry.id == gone.id))
    code, said = await asked(*verify)
    assert (code, f"removed: Entry {gone.id} at position 3 was removed" in said) == (1, True)

    strange = tmp_path / "strange"
    strange.write_text("no note")
    code, said = await asked(*verify, "--against", str(strange))
    assert (code, f"{strange} proves nothing" in said) == (1, True)
    service_settings.cache_clear()
