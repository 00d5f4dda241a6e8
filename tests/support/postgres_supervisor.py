"""Runs one PostgreSQL for as long as another process lives: `python -m tests.support.postgres_supervisor OWNER FOLDER`.

A test run can end in ways that run no clean-up (a killed terminal, SIGKILL, a crash). This process watches the owner
from outside and takes the server and its data away with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from tests.support.postgres import (
    PostgresUnavailable,
    free_port,
    initialise,
    launch,
    make_home,
    usable_binaries,
)

POLL_SECONDS = 0.2
ATTEMPTS = 3


class Stopped(Exception):
    """The run asked for the end of the server."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def is_alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _launch_on_a_free_port(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    binaries = usable_binaries(home)
    initialise(binaries, home)
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        try:
            return launch(binaries, home, port), port
        except PostgresUnavailable:
            if attempt == ATTEMPTS:  # another program may have taken the port in between, but hardly three times
                raise
    raise AssertionError("unreachable")


def _publish(folder: Path, port: int) -> None:
    (folder / "supervisor").write_text(str(os.getpid()))
    unfinished = folder / "address.new"
    unfinished.write_text(f"postgresql://postgres@127.0.0.1:{port}")
    unfinished.rename(folder / "address")


def supervise(owner: int, folder: Path) -> None:
    """Run a server until `owner` is gone, the server ends or SIGTERM comes; then remove every trace of it."""
    signal.signal(signal.SIGTERM, _stop)
    home = make_home()
    process: subprocess.Popen[bytes] | None = None
    try:
        process, port = _launch_on_a_free_port(home)
        _publish(folder, port)
        while is_alive(owner) and process.poll() is None:
            time.sleep(POLL_SECONDS)
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGQUIT)  # "immediate": its data is thrown away next
            process.wait()
        shutil.rmtree(home)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    supervise(int(sys.argv[1]), Path(sys.argv[2]))
