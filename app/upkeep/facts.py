"""What is so in this process, on this machine and in this database: gathered once, judged by `safety`, changed nowhere."""

import asyncio
import os
import resource
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.kit import clock
from app.kit.config import Settings
from app.kit.database import Database, Transaction
from app.kit.disks import usage_of
from app.kit.vault import KeyFileError, read_key_file
from app.upkeep.census import revision
from app.upkeep.copies import is_unfinished, server_version, sqlite_path

PREFIX = "HARMLINE_"
NOT_SETTINGS = frozenset({"PYTHON", "CHROMIUM", "POSTGRES_BIN"})
"""Names with our prefix that `./run` or a command reads; those that begin with SETTING_ or TEST_ are none either."""

TELLING = ("SSLKEYLOGFILE", "PYTHONINSPECT", "PYTHONDEVMODE", "PYTHONASYNCIODEBUG")
_FIRST_WORD = 5.0


@dataclass(frozen=True)
class FileFacts:
    """Who may do what with a file or folder. `mode`: the permission bits."""

    mode: int
    uid: int


@dataclass(frozen=True)
class Store:
    """What a database says of itself. `revision`: None when it is empty. The last four: PostgreSQL's only."""

    revision: str | None = None
    restoring: bool = False
    version: int | None = None
    encoding: str | None = None
    logs_values: bool = False
    old_passwords: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that a check may look at. None: there is no such thing, or it does not answer."""

    settings: Settings
    role: str
    now: datetime
    euid: int
    container: bool = False
    core_limit: int = 0
    dev_mode: bool = False
    telling: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    key: FileFacts | None = None
    key_letters: int | None = None
    """How many different bytes the key has; of 32 random ones nearly all are different."""
    key_folder: FileFacts | None = None
    door_key: FileFacts | None = None
    door_key_letters: int | None = None
    door_key_folder: FileFacts | None = None
    """Of the door's key the same."""
    store_file: FileFacts | None = None
    disk: tuple[int, int] | None = None
    """Bytes free and in all, where SQLite's file is or is to be."""
    store: Store | None = None


def file_facts(path: Path) -> FileFacts | None:
    """None when there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileFacts(stat.S_IMODE(found.st_mode), found.st_uid)


def unknown_settings(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Names with our prefix that mean nothing to us: somebody believes that they set something."""
    known = {name.upper() for name in Settings.model_fields} | NOT_SETTINGS
    ours = (name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX))
    return tuple(sorted(PREFIX + name for name in ours if name not in known and not name.startswith(("SETTING_", "TEST_"))))


def in_container() -> bool:
    """Whether this is a container, whose ports nobody reaches but through its host."""
    return Path("/.dockerenv").exists() or "container" in os.environ


def _letters(settings: Settings, path: Path) -> int | None:
    try:
        return min(len(set(key)) for key in read_key_file(path, settings.key_lock))
    except (KeyFileError, OSError):
        return None


def _disk(settings: Settings) -> tuple[int, int] | None:
    if not settings.database_url.startswith("sqlite") or not make_url(settings.database_url).database:
        return None
    return usage_of(sqlite_path(settings.database_url).absolute().parent)


def _sqlite_file(settings: Settings) -> Path | None:
    parsed = make_url(settings.database_url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


async def store_facts(url: str) -> Store | None:
    """What the database says; None when there is none yet, or it does not answer: whoever needs it says so in its own way."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not (parsed.database and os.path.exists(parsed.database)):  # noqa: ASYNC240
        return None
    database = Database(url)
    try:
        async with asyncio.timeout(_FIRST_WORD), database.begin(read_only=True) as tx:
            return await _asked(tx, postgres=not database.is_sqlite)
    except (OSError, TimeoutError, SQLAlchemyError):
        return None
    finally:
        await database.close()


async def _asked(tx: Transaction, *, postgres: bool) -> Store:
    at, restoring = await revision(tx), await is_unfinished(tx)
    if not postgres:
        return Store(at, restoring)

    async def shown(name: str) -> str:
        return str((await tx.execute(text(f"SHOW {name}"))).scalar_one())

    logs = await shown("log_statement") in {"mod", "all"} or await shown("log_min_duration_statement") != "-1"
    longest = (await shown("log_parameter_max_length"), await shown("log_parameter_max_length_on_error"))
    return Store(
        revision=at,
        restoring=restoring,
        version=await server_version(tx),
        encoding=await shown("server_encoding"),
        logs_values=(logs and longest[0] != "0") or longest[1] != "0",
        old_passwords=await shown("password_encryption") == "md5",
    )


def gather(settings: Settings, role: str, store: Store | None) -> Facts:
    """All facts of this moment. `role`: serve, web, door, work or doctor; `store`: see `store_facts`."""
    sqlite = _sqlite_file(settings)
    return Facts(
        settings=settings,
        role=role,
        now=clock.machine(),
        euid=os.geteuid(),
        container=in_container(),
        core_limit=resource.getrlimit(resource.RLIMIT_CORE)[0],
        dev_mode=sys.flags.dev_mode or bool(sys.flags.inspect),
        telling=tuple(name for name in TELLING if os.environ.get(name)),
        unknown=unknown_settings(os.environ),
        key=file_facts(settings.key_file),
        key_letters=_letters(settings, settings.key_file),
        key_folder=file_facts(settings.key_file.absolute().parent),
        door_key=file_facts(settings.door_key),
        door_key_letters=_letters(settings, settings.door_key),
        door_key_folder=file_facts(settings.door_key.absolute().parent),
        store_file=file_facts(sqlite) if sqlite else None,
        disk=_disk(settings),
        store=store,
    )


def keep_to_ourselves() -> None:
    """From now on: files that only we read, and no image of our memory on the disk when we crash."""
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
