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

from benchmarks.support.child import ROOT, Child, say
from benchmarks.support.machine import filesystem
from tests.support.postgres import (
    UNPRIVILEGED,
    PostgresServer,
    free_port,
    initialise,
    launch,
    open_to_all,
    usable_binaries,
)

DURABLE = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "300",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "timezone": "UTC",
}
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
