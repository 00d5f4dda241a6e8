"""Migrates in a process of its own that dies before or after one chosen statement. Holds no tests.

`python -m tests.migrations.dying` has imported everything and forks one migrator for each JSON order (`url`, `to`, `die_at`),
which takes milliseconds. It answers each with how many steps were reached: all there are where `die_at` is 0 and nobody dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import Engine, event

from app.kit.migrate import alembic_config


def _bind(die_at: int, steps: Path) -> None:
    """From now on each statement is two steps of this process, one before it and one after it; its COMMIT is one more."""

    def step(*_: Any) -> None:
        with steps.open("a") as file:
            file.write(".")
        if steps.stat().st_size == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, moment, step)


def _migrate(order: dict[str, Any], steps: Path) -> int:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        _bind(order["die_at"], steps)
        command.upgrade(alembic_config(order["url"]), order["to"])
        os._exit(0)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    if ended != (-signal.SIGKILL if order["die_at"] else 0):
        raise RuntimeError(f"the migrator ended with {ended}")
    return steps.stat().st_size


def main() -> None:
    """Take orders until there are no more."""
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            print(_migrate(json.loads(line), Path(folder, "steps")), flush=True)


if __name__ == "__main__":
    main()
