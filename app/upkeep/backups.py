"""Backups: made of a running installation, tried in a scratch database, and restored without what was erased since.

A backup is a folder: the database's copy and a manifest. No key is in it; what the copy holds of people is sealed.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from uuid import uuid4

from app.kit import clock
from app.kit import migrate as schema
from app.kit.acting import ITSELF
from app.kit.crypto import KeysAway, Unreadable
from app.kit.database import Database
from app.kit.errors import Problem
from app.kit.keyring import Keyring, Lane
from app.ledger.models import Deletion
from app.upkeep import copies, journal
from app.upkeep.again import Applied, apply
from app.upkeep.census import books, ledger_end, revision, rows_by_table, table_names
from app.upkeep.manifest import Census, Manifest, amiss, differences, file_hash, fingerprint, read_manifest, write_manifest
from app.watch.repository import organizations

Finish = Callable[[str], Awaitable[None]]
"""Does all work that waits in the database behind a URL: what is deleted after an erasure is deleted by workers."""


async def create(database: Database, keyring: Keyring, erasures: journal.Journal, into: Path) -> Path:
    """Make a backup in a new folder below `into`, and return that. Half of one is never seen under its name."""
    made_at = clock.now()
    name = f"harmline-{made_at.astimezone(UTC):%Y%m%dT%H%M%S}Z"
    partial = _new_folder(into, f".{name}-{uuid4().hex[:8]}.partial")
    copy = partial / (copies.SQLITE_FILE if database.is_sqlite else copies.POSTGRES_FILE)
    if database.is_sqlite:
        await asyncio.to_thread(copies.copy_sqlite, copies.sqlite_path(database.url), copy)
        copied = Database(copies.sqlite_url(copy), ITSELF)
        try:
            found, at = await _described(copied)
        finally:
            await copied.close()
    else:
        found, at = await _described(database, dump_to=copy)
    manifest = Manifest(
        made_at=made_at,
        kind="sqlite" if database.is_sqlite else "postgresql",
        schema_revision=at,
        key=fingerprint(keyring),
        files={copy.name: await asyncio.to_thread(file_hash, copy)},
        census=found,
    )
    await write_manifest(partial, manifest, keyring)
    if Deletion.__tablename__ in found.tables:  # older code had no such table
        await journal.keep(database, erasures)
    return partial.rename(into / name)


def _new_folder(into: Path, name: str) -> Path:
    """A folder that only its owner may look into; so is `into`, if it is made."""
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    (into / name).mkdir(mode=0o700)
    return into / name


async def _described(database: Database, dump_to: Path | None = None) -> tuple[Census, str]:
    """What stands in a database, and its revision; with `dump_to` that moment is dumped, too."""
    async with database.begin(read_only=True) as tx:
        if (at := await revision(tx)) is None:
            raise Problem(409, "There is nothing to back up: the database is empty.")
        if dump_to is not None:
            await copies.dump_postgres(tx, database.url, dump_to)
        # Other code's tables cannot be asked for accounts by this code.
        accounts = await books(tx) if at == schema.head() else {}
        return Census(tables=await rows_by_table(tx), accounts=accounts, ledger=await ledger_end(tx)), at


async def _open(folder: Path, keyring: Keyring, kind: str) -> Manifest:
    manifest = await read_manifest(folder, keyring)
    if found := amiss(folder, manifest):
        raise Problem(422, f"This backup must not be used: {'; '.join(found)}.")
    if manifest.kind != kind:
        raise Problem(409, f"This is a backup of {manifest.kind}, and HARMLINE_DATABASE_URL names a {kind} database.")
    return manifest


def _kind(url: str) -> str:
    return "sqlite" if url.startswith("sqlite") else "postgresql"


async def _load(folder: Path, manifest: Manifest, url: str) -> None:
    """Fill an empty database from a backup, migrate it, and see that it is what the manifest says. Raises a Problem."""
    (name,) = manifest.files
    if manifest.kind == "sqlite":
        await copies.fill_sqlite(folder / name, copies.sqlite_path(url))
    database = Database(url, ITSELF)
    try:
        if manifest.kind == "postgresql":
            await copies.fill_postgres(database, folder / name)
        async with database.begin(read_only=True) as tx:
            tables, ledger, at = await rows_by_table(tx), await ledger_end(tx), await revision(tx)
        tables.pop(copies.MARKER, None)
        if at != manifest.schema_revision:
            raise Problem(409, f"The backup's tables are of revision {at}, not {manifest.schema_revision}.")
        if at not in schema.revisions():
            raise Problem(409, f"The backup is of revision {at}, which this code does not know: use the newer code.")
        await asyncio.to_thread(schema.upgrade, url)
        async with database.begin(read_only=True) as tx:
            found = Census(tables=tables, ledger=ledger, accounts=await books(tx))
    finally:
        await database.close()
    if said := differences(manifest.census, found):
        raise Problem(409, f"What was restored is not what was backed up: {'; '.join(said)}.")


async def _try_keys(url: str, keyring: Keyring) -> int:
    """Open every organization's keys with a key ring of the same top key; how many organizations there are."""
    database = Database(url, ITSELF)
    try:
        async with database.begin(read_only=True) as tx:
            found = await organizations(tx)
            for organization_id in found:
                for lane in Lane:
                    await keyring.opened(tx, organization_id, lane)
    except (Unreadable, KeysAway):
        raise Problem(409, "HARMLINE_KEY_FILE does not open the keys in this backup: restore the key of its time.") from None
    finally:
        await database.close()
    return len(found)


async def verify(folder: Path, url: str, keyring: Keyring) -> Manifest:
    """Restore a backup into a scratch database and compare it with its manifest; that. Raises a Problem.

    `url`: of the installation's database; PostgreSQL's scratch is made on the same server.
    """
    manifest = await _open(folder, keyring, _kind(url))
    async with copies.scratch(url, folder.parent) as empty:
        await _load(folder, manifest, empty)
        await _try_keys(empty, keyring)
    return manifest


@dataclass(frozen=True)
class Restored:
    """What a restore came to."""

    manifest: Manifest
    applied: Applied


async def restore(folder: Path, url: str, keyring: Keyring, erasures: Sequence[journal.Record], finish: Finish) -> Restored:
    """Restore a backup into an empty database; it can be used only when nothing of who was erased since is left in it.

    `erasures`: the journal, whole. Raises a Problem, and leaves an empty or an unusable database then.
    """
    manifest = await _open(folder, keyring, _kind(url))
    if manifest.kind == "postgresql":
        return await _restore_postgres(folder, manifest, url, keyring, erasures, finish)
    target = copies.sqlite_path(url)
    await _require_empty(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(target.name + ".restoring")
    try:
        _remove(beside)
        await _load(folder, manifest, copies.sqlite_url(beside))
        applied = await _without_the_erased(copies.sqlite_url(beside), keyring, erasures, finish)
        _remove(target)
        os.replace(beside, target)
    finally:
        _remove(beside)
    return Restored(manifest, applied)


async def _restore_postgres(
    folder: Path, manifest: Manifest, url: str, keyring: Keyring, erasures: Sequence[journal.Record], finish: Finish
) -> Restored:
    database = Database(url, ITSELF)
    try:
        await copies.prepare_postgres(database)
        await _load(folder, manifest, url)
        applied = await _without_the_erased(url, keyring, erasures, finish)
        await copies.finish_postgres(database)
    finally:
        await database.close()
    return Restored(manifest, applied)


def _has_content(target: Path) -> bool:
    return target.exists() and target.stat().st_size > 0


async def _require_empty(target: Path) -> None:
    if not _has_content(target):
        return
    database = Database(copies.sqlite_url(target), ITSELF)
    try:
        async with database.begin(read_only=True) as tx:
            if await table_names(tx):
                raise Problem(409, f"{target} is not empty. Move it away, or let HARMLINE_DATABASE_URL name another file.")
    finally:
        await database.close()


def _remove(path: Path) -> None:
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        one.unlink(missing_ok=True)


async def _without_the_erased(url: str, keyring: Keyring, erasures: Sequence[journal.Record], finish: Finish) -> Applied:
    await _try_keys(url, keyring)
    database = Database(url, ITSELF)
    try:
        async with database.begin() as tx:
            applied = await apply(tx, keyring, erasures)
    finally:
        await database.close()
    await finish(url)
    return applied
