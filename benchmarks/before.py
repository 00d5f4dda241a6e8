"""This version and an earlier one, side by side in one run: what did all that came between cost? See docs/benchmarks.md.

`./run bench before [--base COMMIT]` checks the earlier version out beside this one (var/bench), starts both, each in a process
and with a database of its own on one server that flushes (or with SQLite files), and lets them do the same in turns: so what
else the machine does meanwhile meets both alike. It tells the medians and the ratio of the rates; the last line is JSON. Both
run with the packages of this version, and in process: what a server in front costs is the same for both and left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.support.child import ROOT, Child
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres

BEFORE_ISSUE_5 = "d1b0515328a15192b5284b02aa05bcf0faccfbdc"
"""The last commit without passkeys, the second wall, versions of keys and the door's own key."""

NOW, THEN = "now", "then"
IN_A_TURN = 5
DRIVER = Path(__file__).with_name("support") / "then_or_now.py"


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """The tree of a commit in a folder; it goes again at the end. Raises SystemExit when this clone does not have it."""
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False).returncode != 0:
        raise SystemExit(f"This clone does not have the commit {commit}. Fetch its whole history, or name another: --base COMMIT")
    subprocess.run([*git, "worktree", "prune"], check=True)
    subprocess.run([*git, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(folder)], check=True)


def started(tree: Path, url: str, log: Path) -> Child:
    """A version at work over an empty database."""
    environment = {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return Child(DRIVER, url, log=log, environment=environment, folder=tree)


def in_turns(both: dict[str, Child], what: str, turns: int) -> dict[str, float]:
    """The medians in milliseconds, and how the rate is now for each one then: 1.0 is no cost, 0.9 a tenth less."""
    took: dict[str, list[float]] = {NOW: [], THEN: []}
    for turn in range(turns + 1):
        for which in (NOW, THEN) if turn % 2 else (THEN, NOW):
            both[which].tell({"what": what, "times": IN_A_TURN})
            seconds = both[which].hear()
            took[which] += seconds if turn else []  # the first turn warms up
    medians = {which: statistics.median(seconds) * 1000 for which, seconds in took.items()}
    return {**{which: round(median, 2) for which, median in medians.items()}, "ratio": round(medians[THEN] / medians[NOW], 3)}


def urls(kind: str, folder: Path, stack: ExitStack) -> dict[str, str]:
    """An empty database for each of the two."""
    if kind == "sqlite":
        return {which: f"sqlite+aiosqlite:///{folder}/{which}.db" for which in (NOW, THEN)}
    server = stack.enter_context(durable_postgres(folder / "postgres"))
    return {which: asyncio.run(server.create_database(f"harmline_{which}")) for which in (NOW, THEN)}


def measured(kind: str, commit: str, turns: int, folder: Path) -> dict[str, Any]:
    """Everything that both can do, on one kind of database."""
    with ExitStack() as stack:
        trees = {NOW: ROOT, THEN: stack.enter_context(checked_out(commit, folder / "tree"))}
        both = {}
        for which, url in urls(kind, folder, stack).items():
            both[which] = started(trees[which], url, folder / f"{which}.log")
            stack.callback(both[which].stop)
        acts = {which: child.hear() for which, child in both.items()}
        return {what: in_turns(both, what, turns) for what in acts[THEN] if what in acts[NOW]}


def main(given: argparse.Namespace) -> int:
    """Measure once and say what was found."""
    folder = bench_folder() / "before"
    shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = {"machine": facts(folder.parent), "base": given.base, "turns": given.turns}
    for kind in given.database or ("postgresql", "sqlite"):
        folder.mkdir()
        found[kind] = measured(kind, given.base, given.turns, folder)
        for what, medians in found[kind].items():
            print(f"{kind}, {what}: {medians[NOW]} ms now, {medians[THEN]} ms then; rate {medians['ratio']}", flush=True)
        shutil.rmtree(folder)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="What this version costs more, or less, than an earlier one.")
    arguments.add_argument("--base", default=BEFORE_ISSUE_5, help="the earlier commit")
    arguments.add_argument("--turns", type=int, default=40, help=f"how often each of them does {IN_A_TURN} of each")
    arguments.add_argument("--database", action="append", choices=["postgresql", "sqlite"])
    sys.exit(main(arguments.parse_args()))
