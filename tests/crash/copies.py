"""Copies of the tree to be changed, and tests run in them: by a process that has imported all that is not ours, and forks.

To import what tests need takes seconds; a fork takes milliseconds, and imports of the copy what is ours. As a program (by its
path, so that nothing of ours is imported) it reads one JSON order a line and answers with what pytest ended with.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

ROOT = Path(__file__).parents[2]
PARTS = ("app", "connectors", "migrations", "tests", "docs", "benchmarks", "alembic.ini", "pyproject.toml", "run")
SECONDS = 240.0


def copy_tree(folder: Path) -> None:
    """Copy what the tests need to a folder, over what may be there. What was compiled comes along, and is used where the
    file is still as old as it was: to compile all of it takes longer than most of the tests that run in a copy.
    """
    for part in (*PARTS, ".gitignore"):
        if (ROOT / part).is_dir():
            half_written = shutil.ignore_patterns("*.pyc.*")  # by another process, under a name that is gone in a moment
            shutil.copytree(ROOT / part, folder / part, ignore=half_written, dirs_exist_ok=True)
        else:
            shutil.copy2(ROOT / part, folder / part)


@dataclass(frozen=True)
class Done:
    """What pytest ended with and what it printed."""

    returncode: int
    stdout: str


class Copy:
    """A copy of what the tests need, to be changed, and a process that runs tests in it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the copy goes; it must not be there yet."""
        self.tree = folder
        copy_tree(folder)
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # the rules of tests/repo ask git what there is
        known = {name: value for name, value in os.environ.items() if name != "HARMLINE_TEST_SHARED" and "PYTEST" not in name}
        command = [sys.executable, "-P", str(Path(__file__))]
        environment = {**known, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say(_not_ours())

    def test(self, arguments: tuple[str, ...]) -> Done:
        """Run some tests in the copy, with a PostgreSQL of their own if they need one. It is killed after SECONDS."""
        printed = self.tree.parent / f"{self.tree.name}.txt"
        self._say({"arguments": ["-q", "-x", "-n", "0", "-m", "", *arguments], "printed": str(printed)})
        timer = Timer(SECONDS, self._process.kill)
        timer.start()
        assert self._process.stdout is not None
        told = self._process.stdout.readline()
        timer.cancel()
        return Done(int(told) if told else -1, printed.read_text(errors="replace"))

    def close(self) -> None:
        """End the process; the copy stays."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _say(self, order: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()


def _not_ours() -> list[str]:
    """Every module that this process has imported from outside of the tree."""
    modules = ((name, getattr(module, "__file__", None) or "") for name, module in sys.modules.items())
    return sorted(name for name, file in modules if "site-packages" in file and not name.startswith("__"))


def _run(order: dict[str, object]) -> int:
    """Run tests in a fork; what it ended with."""
    child = os.fork()
    if child == 0:
        os.setsid()  # what it starts, and leaves behind, is its own
        output = os.open(str(order["printed"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        pytest = importlib.import_module("pytest")
        status = pytest.main(order["arguments"])
        sys.stdout.flush()
        os._exit(int(status))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _serve() -> None:
    for name in json.loads(sys.stdin.readline()):
        with suppress(Exception):  # some can only be imported by others
            importlib.import_module(name)
    for line in sys.stdin:
        print(_run(json.loads(line)), flush=True)


if __name__ == "__main__":
    _serve()
