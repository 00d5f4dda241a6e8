"""PostgreSQL as a measurement needs it: every commit flushed, on a real disk. The tests' own server flushes nothing.

`python -m benchmarks.support.postgres FOLDER` runs it until its standard input ends; the folder may be used again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from benchmarks.support.child import ROOT, Child, say
from benchmarks.support.machine import filesystem, memory
from tests.support.postgres import (
    UNPRIVILEGED,
    PostgresServer,
    free_port,
    initialise,
    launch,
    open_to_all,
    usable_binaries,
)

SHARED_BUFFERS_MB = min(4096, memory() // 4 // 1024**2)
"""A quarter of the machine's memory, as PostgreSQL's manual and docs/deploy have it, and 4 GB at the most (decision 0067)."""

DURABLE = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "300",
    "shared_buffers": f"{SHARED_BUFFERS_MB}MB",
    "max_wal_size": "4GB",
    "min_wal_size": "1GB",
    "timezone": "UTC",
}
WAL_FILES = 64
"""Of 16 MiB each: as many as `min_wal_size` keeps."""
IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def bench_folder() -> Path:
    """Where measurements keep their databases: var/bench, or the temporary folder where PostgreSQL's user cannot reach that.

    Raises RuntimeError when that is no disk.
    """
    place = ROOT / "var" / "bench"
    if os.geteuid() == 0 and not open_to_all(ROOT):
        place = Path(tempfile.gettempdir()) / "harmline-bench"
    place.mkdir(parents=True, exist_ok=True)
    if filesystem(place) in IN_MEMORY:
        raise RuntimeError(f"{place} is in memory: what is flushed there is not kept, so nothing can be measured")
    return place


@contextmanager
def durable_postgres(home: Path) -> Iterator[PostgresServer]:
    """A server over the folder `home`, made where it is missing, that flushes every commit."""
    home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(home, user=UNPRIVILEGED)
    child = Child("benchmarks.support.postgres", str(home), log=home.parent / f"{home.name}.log")
    try:
        yield PostgresServer(base=f"postgresql://postgres@127.0.0.1:{child.hear()['port']}")
    finally:
        assert child.process.stdin is not None
        child.process.stdin.close()  # it shuts the server down in good order
        child.process.wait()


async def make_wal_ready(server: PostgresServer) -> None:
    """Let WAL files lie ready to be written again, as they do wherever a server has run for some time.

    A new server makes each of them when it is needed, 16 MiB of zeros, and all who write wait for that. They lie ready after each
    checkpoint.
    """
    for _ in range(WAL_FILES):
        await server.execute("SELECT pg_logical_emit_message(false, 'bench', ''), pg_switch_wal()")
    await server.execute("CHECKPOINT")


async def wal_written(server: PostgresServer) -> int:
    """How many bytes of WAL this server has written in its life."""
    connection = await asyncpg.connect(server.dsn("postgres"))
    try:
        return int(await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))
    finally:
        await connection.close()


def main(home: Path) -> None:
    """Run the server until nobody listens any more."""
    shutil.rmtree(home / "install", ignore_errors=True)
    binaries = usable_binaries(home)
    if not (home / "data" / "PG_VERSION").exists():
        initialise(binaries, home)
    port = free_port()
    server = launch(binaries, home, port, DURABLE)
    try:
        say({"port": port})
        sys.stdin.buffer.read()
    except KeyboardInterrupt:
        pass
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
