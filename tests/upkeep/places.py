"""Somewhere to put backups and to restore them to. Importable; holds no tests."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.kit.acting import ITSELF
from app.kit.context import Context
from app.kit.database import Database
from app.kit.keyring import Keyring
from app.kit.mail import Mailer
from app.upkeep import backups
from app.upkeep.copies import POSTGRES_FILE, server_version
from app.upkeep.journal import Journal, Record
from app.upkeep.programs import find_program
from app.upkeep_commands import finish
from tests.support.world import World


def top_key_of(keyring: Keyring) -> bytes:
    """The top key of a world, which holds it in memory."""
    assert keyring.vault.first is not None
    return keyring.vault.first


@dataclass
class Places:
    """A world, a folder for its backups, its journal, and an empty database of the same kind."""

    world: World
    folder: Path
    empty_url: str

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "keys" / "erasures.jsonl")

    def keyring(self) -> Keyring:
        """A key ring of the same key that has opened nothing yet, as a process has it that was just started."""
        return Keyring(self.world.context.keyring.vault)

    async def back_up(self) -> Path:
        owner = Database(self.world.owner_url, ITSELF)
        try:
            return await backups.create(owner, self.keyring(), self.journal, self.folder / "backups")
        finally:
            await owner.close()

    async def verify(self, backup: Path) -> None:
        await backups.verify(backup, self.world.owner_url, self.keyring())

    async def restore(self, backup: Path, records: list[Record] | None = None) -> backups.Restored:
        """Restore into the empty database. `records`: the journal, if it is to be another one."""
        known = self.journal.read() if records is None else records
        context = self.world.context
        return await backups.restore(backup, self.empty_url, self.keyring(), known, lambda url: finish(context, url))

    def restored(self) -> Context:
        """What was restored, open."""
        settings = self.world.context.settings.model_copy(update={"database_url": self.empty_url})
        return Context(settings, Database(self.empty_url), self.keyring(), Mailer(None, settings.mail_from))


def _written_out(backup: Path, program: Path | None) -> bytes:
    found = b"".join(path.read_bytes() for path in sorted(backup.iterdir()))
    if program is not None:
        found += subprocess.run([program, "--file=-", backup / POSTGRES_FILE], capture_output=True, check=True).stdout
    return found


async def written_out(backup: Path, database: Database) -> bytes:
    """All that a backup holds, uncompressed, with its manifest."""
    if database.is_sqlite:
        return _written_out(backup, None)
    async with database.begin(read_only=True) as tx:
        return _written_out(backup, await find_program("pg_restore", await server_version(tx)))
