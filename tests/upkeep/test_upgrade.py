"""An upgrade checks, backs up, migrates, verifies; each step that fails says what to do, and changes nothing it need not."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from alembic import command

from app import upkeep_commands
from app.kit.config import Settings
from app.kit.context import Context
from app.kit.database import Database
from app.kit.door_keys import doors
from app.kit.errors import Problem
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.kit.migrate import alembic_config, head
from app.kit.vault import fingerprint, read_key_file
from app.tables import metadata
from app.upkeep.census import revision
from app.upkeep.manifest import read_manifest
from app.upkeep.upgrading import KEPT, WHEN_IT_FAILS, Step, lost
from tests.conftest import run_apart
from tests.migrations.test_migrations import REVISIONS
from tests.support.world import Filled

BEFORE_THE_DOOR = REVISIONS[REVISIONS.index("0018") - 1]


@pytest.fixture
def old(filled_database: tuple[str, Filled], tmp_path: Path) -> Context:
    """An installation from before the door had a key of its own."""
    url, known = filled_database
    run_apart(lambda: command.downgrade(alembic_config(url), BEFORE_THE_DOOR))
    key = tmp_path / "keys" / "top.key"
    key.parent.mkdir(mode=0o700)
    key.touch(mode=0o600)
    key.write_bytes(base64.b64encode(known.top_key))
    named = {"database_url": url, "key_file": key, "backup_folder": tmp_path / "backups"}
    settings = Settings(_env_file=None, unsafe_store=True, unsafe_login=True, **named)
    return Context(settings, Database(url), Keyring(known.top_key), Mailer(None, settings.mail_from))


async def at(context: Context) -> str | None:
    async with context.database.begin(read_only=True) as tx:
        return await revision(tx)


async def test_an_older_installation_comes_to_the_newest_schema_with_a_backup_of_the_old(old: Context) -> None:
    steps: list[Step] = []
    made = await upkeep_commands.upgrade_steps(old, steps.append)
    assert steps == list(Step)
    assert await at(old) == head()
    assert (await read_manifest(made, old.keyring)).schema_revision == BEFORE_THE_DOOR
    async with old.database.begin(read_only=True) as tx:
        assert await doors(tx) == {fingerprint(read_key_file(old.settings.door_key)[0])}, "the door was given a key of its own"
    await old.database.close()


async def test_what_is_unsafe_is_not_upgraded(old: Context) -> None:
    os.chmod(old.settings.key_file, 0o644)
    steps: list[Step] = []
    with pytest.raises(Problem, match="HARMLINE_KEY_FILE"):
        await upkeep_commands.upgrade_steps(old, steps.append)
    assert steps == [Step.CHECK]
    assert await at(old) == BEFORE_THE_DOOR
    assert not old.settings.backup_folder.exists()
    await old.database.close()


async def test_without_a_backup_that_can_be_restored_nothing_is_migrated(old: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise Problem(409, "no")

    monkeypatch.setattr(upkeep_commands.backups, "verify", fails)
    steps: list[Step] = []
    with pytest.raises(Problem):
        await upkeep_commands.upgrade_steps(old, steps.append)
    assert steps == [Step.CHECK, Step.BACKUP]
    assert await at(old) == BEFORE_THE_DOOR
    await old.database.close()


@pytest.mark.long
async def test_rows_that_a_migration_has_lost_are_noticed(old: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = upkeep_commands._counted

    async def one_more(context: Context) -> dict[str, int]:
        found = await counted(context)
        return found if await at(context) == head() else found | {"member": found["member"] + 1}

    monkeypatch.setattr(upkeep_commands, "_counted", one_more)
    with pytest.raises(Problem, match=r"member: \d+ rows, not \d+.*The backup is"):
        await upkeep_commands.upgrade_steps(old, lambda _: None)
    await old.database.close()


def test_tables_are_compared_that_nobody_deletes_from() -> None:
    assert set(KEPT) <= set(metadata.tables)
    assert lost({"receipt": 2, "session": 5}, {"receipt": 2, "session": 1}) == []
    assert lost({"receipt": 2}, {"receipt": 1}) == ["receipt: 1 rows, not 2"]
    assert lost({"receipt": 2}, {}) == ["receipt: 0 rows, not 2"]
    assert lost({}, {"receipt": 1}) == []
    assert set(WHEN_IT_FAILS) == set(Step)
