"""The PostgreSQL that the tests stand on: fresh, copied, unprivileged, and gone with its run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres as support
from tests.support.postgres import PostgresServer, initialise, make_home, named_server, open_to_all, usable_binaries

OWNER = """
import os, sys, time
from pathlib import Path
from tests.support.postgres import start_supervised
print(start_supervised(Path(sys.argv[1]), owner=os.getpid()).base, flush=True)
time.sleep(600)
"""


async def rows(server: PostgresServer, database: str, query: str) -> list[object]:
    connection = await asyncpg.connect(server.dsn(database))
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


async def test_a_copy_holds_the_rows_of_its_template_and_is_apart_from_it(postgres: PostgresServer, database_prefix: str) -> None:
    original, copy = f"{database_prefix}_original", f"{database_prefix}_copy"
    await postgres.create_database(original)
    try:
        await rows(postgres, original, "CREATE TABLE kept AS SELECT 7 AS number")
        await postgres.create_database(copy, template=original)
        await rows(postgres, copy, "UPDATE kept SET number = 8")
        assert await rows(postgres, original, "SELECT number FROM kept") == [7]
        assert await rows(postgres, copy, "SELECT number FROM kept") == [8]
    finally:
        await postgres.drop_database(copy)
        await postgres.drop_database(original)
    assert await rows(postgres, "postgres", f"SELECT datname FROM pg_database WHERE datname = '{original}'") == []


async def test_dropping_closes_connections_that_a_test_left_open(postgres: PostgresServer, database_prefix: str) -> None:
    name = f"{database_prefix}_left_open"
    await postgres.create_database(name)
    connection = await asyncpg.connect(postgres.dsn(name))
    await postgres.drop_database(name)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetch("SELECT 1")
    connection.terminate()


async def test_a_name_that_is_not_plain_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(ValueError, match="not a plain database name"):
        await postgres.create_database('x"; DROP DATABASE postgres; --')


def test_the_server_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(shared)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    base = owner.stdout.readline().strip()
    supervisor = int((shared / "supervisor").read_text())
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(supervisor)], capture_output=True, text=True, check=True)
    (server,) = (int(word) for word in children.stdout.split())
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert re.fullmatch(r"postgresql://postgres@127\.0\.0\.1:\d+", base)
    assert wait_until(lambda: not shared.exists(), seconds=20)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_a_url_names_a_server_whatever_its_database_and_driver() -> None:
    server = named_server("postgresql+asyncpg://me:secret@db.example:6543/other?ssl=on")
    assert server.url("mine") == "postgresql+asyncpg://me:secret@db.example:6543/mine"
    assert server.dsn("mine") == "postgresql://me:secret@db.example:6543/mine"


def test_a_folder_closed_to_others_closes_what_is_under_it(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    inner.parent.chmod(0o700)
    assert not open_to_all(inner)


@pytest.mark.slow
def test_binaries_in_a_closed_folder_are_copied_for_the_unprivileged_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "open_to_all", lambda path: path == Path("/tmp"))
    home = make_home()
    try:
        binaries = usable_binaries(home)
        initialise(binaries, home)
        assert binaries.is_relative_to(home) == (os.geteuid() == 0)
        assert (home / "data" / "PG_VERSION").exists()
    finally:
        shutil.rmtree(home)
