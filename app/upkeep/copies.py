"""Copies of a whole database: out of a running one into a file, and from that file into an empty database."""

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.kit.database import Database, Transaction
from app.kit.errors import Problem
from app.upkeep.census import table_names
from app.upkeep.programs import find_program, run_program, surroundings

SQLITE_FILE, POSTGRES_FILE = "harmline.sqlite", "harmline.dump"
MARKER = "harmline_restoring"
"""A table that stands while a restore has not come to its end: until then people who were erased may be readable."""


def sqlite_path(url: str) -> Path:
    """The file of a SQLite database. Raises a Problem for one in memory."""
    path = make_url(url).database
    if not path or path == ":memory:":
        raise Problem(409, "A database in memory has nothing to copy.")
    return Path(path)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def keep_private(path: Path) -> None:
    """A file that only its owner reads."""
    path.chmod(0o600)


def copy_sqlite(source: Path, target: Path) -> None:
    """The online backup API: one moment, while others write. Then the pages that hold what was deleted are taken out."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        copy.execute("VACUUM")
        (found,) = copy.execute("PRAGMA integrity_check").fetchone()
    keep_private(target)
    if found != "ok":
        raise Problem(409, "SQLite finds the copy damaged, so the database may be, too: PRAGMA integrity_check tells more.")


async def server_version(tx: Transaction) -> int:
    """The major version of PostgreSQL."""
    return int((await tx.execute(text("SHOW server_version_num"))).scalar_one()) // 10_000


async def dump_postgres(tx: Transaction, url: str, target: Path) -> None:
    """pg_dump, custom format, of the very moment that `tx` sees."""
    program = await find_program("pg_dump", await server_version(tx))
    snapshot = (await tx.execute(text("SELECT pg_export_snapshot()"))).scalar_one()
    arguments = ["--format=custom", "--no-password", f"--snapshot={snapshot}", f"--file={target}"]
    await run_program([str(program), *arguments], surroundings(url))
    keep_private(target)


async def fill_sqlite(source: Path, target: Path) -> None:
    """A backup's file as a database's file, flushed to the disk."""
    await asyncio.to_thread(shutil.copyfile, source, target)
    keep_private(target)
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def fill_postgres(database: Database, source: Path) -> None:
    """pg_restore, all or nothing. Roles that the dump grants rights to must be there."""
    async with database.begin(read_only=True) as tx:
        program = await find_program("pg_restore", await server_version(tx))
    name = make_url(database.url).database or ""
    arguments = ["--no-owner", "--no-password", "--exit-on-error", "--single-transaction", f"--dbname={name}"]
    await run_program([str(program), *arguments, str(source)], surroundings(database.url))
    async with database.begin() as tx:  # its functions now belong to whoever restores: the next migration raises the wall anew
        await tx.execute(text("COMMENT ON TABLE alembic_version IS NULL"))


async def is_unfinished(tx: Transaction) -> bool:
    """Whether a restore into this database was begun and has not come to its end."""
    return MARKER in await table_names(tx)


async def prepare_postgres(database: Database) -> None:
    """Mark an empty database as one that is being restored; what an earlier attempt left is removed. Raises a Problem."""
    async with database.begin() as tx:
        if await is_unfinished(tx):
            await tx.execute(text("DROP SCHEMA public CASCADE"))
            await tx.execute(text("CREATE SCHEMA public"))
        elif await table_names(tx):
            raise Problem(409, "The database is not empty. Make a new one, and let HARMLINE_DATABASE_URL name it.")
        await tx.execute(text(f"CREATE TABLE {MARKER} (since timestamptz NOT NULL DEFAULT now())"))


async def finish_postgres(database: Database) -> None:
    """Take the mark away: the database may be used."""
    async with database.begin() as tx:
        await tx.execute(text(f"DROP TABLE {MARKER}"))


@asynccontextmanager
async def scratch(url: str, beside: Path) -> AsyncIterator[str]:
    """The URL of an empty database of the same kind, gone when the block ends. `beside`: a folder for SQLite's."""
    if make_url(url).get_backend_name() == "sqlite":
        with tempfile.TemporaryDirectory(prefix=".verify-", dir=beside) as folder:
            yield sqlite_url(Path(folder) / SQLITE_FILE)
        return
    name = f"harmline_verify_{uuid4().hex[:12]}"
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, hide_parameters=True)
    try:
        try:
            async with engine.connect() as connection:
                await connection.execute(text(f"CREATE DATABASE {name}"))
        except DBAPIError:
            raise Problem(409, "A scratch database could not be made: the role needs CREATEDB (ALTER ROLE … CREATEDB).") from None
        try:
            yield make_url(url).set(database=name).render_as_string(hide_password=False)
        finally:
            async with engine.connect() as connection:
                await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    finally:
        await engine.dispose()
