"""Two worlds, many times over: whether M-1 has any data changes no byte, header or status for anybody else.

`./run campaign privacy [--calls 100000]` makes a pair of worlds for each seed, one without and one with M-1's data, and sends
both the same generated calls (`tests/api/generated.py`), on PostgreSQL and SQLite in turn. It goes on after the last seed in
docs/campaigns/privacy.json and adds up there after every seed, so that it can be stopped at any time. At the first difference,
or answer of 500 or more, it names the call, records it and ends with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog

from app.kit.migrate import upgrade
from benchmarks.support.results import load, save
from tests.api.generated import compare, described, make_pair
from tests.api.test_two_worlds import connection_without_consent
from tests.support.postgres import PostgresServer, start_supervised
from tests.support.world import Filled, fill

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "privacy.json"
CALLS_A_PAIR = 1000
DATABASES = ("postgresql", "sqlite")
EMPTY: dict[str, Any] = {
    "command": "./run campaign privacy",
    "next_seed": 0,
    "calls": dict.fromkeys(DATABASES, 0),
    "statuses": {},
    "differences": [],
    "failures": [],
}


class Templates:
    """A filled world of each kind of database, made once, and copies of it."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where SQLite's files go, and the PostgreSQL server's marks."""
        self._folder = folder
        self._server: PostgresServer | None = None
        self._known: dict[str, tuple[str, Filled]] = {}
        self._number = 0

    async def fresh(self, kind: str) -> tuple[str, Filled, Callable[[], Awaitable[str]]]:
        """A new copy of the filled world: its URL, what is in it, and a way to copy it once nobody is connected."""
        if kind not in self._known:
            url = await self._empty(kind)
            await asyncio.to_thread(upgrade, url)
            self._known[kind] = url, await fill(url)
        template, known = self._known[kind]
        url = await self._copy(template)
        return url, known, lambda: self._copy(url)

    async def _empty(self, kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite+aiosqlite:///{self._folder / 'template.db'}"
        shared = self._folder / "postgres"
        shared.mkdir()
        self._server = await asyncio.to_thread(start_supervised, shared, os.getpid())
        return await self._server.create_database("template_of_worlds")

    async def _copy(self, url: str) -> str:
        self._number += 1
        if url.startswith("sqlite"):
            copied = shutil.copy(url.partition("///")[2], self._folder / f"{self._number}.db")
            return f"sqlite+aiosqlite:///{copied}"
        if self._server is None:
            raise RuntimeError("no server made this URL")
        return await self._server.create_database(f"world_{self._number}", template=url.rpartition("/")[2])

    async def forget(self, *urls: str) -> None:
        """Let copies go."""
        for url in urls:
            if url.startswith("sqlite"):
                for file in self._folder.glob(Path(url.partition("///")[2]).name + "*"):
                    file.unlink()
            elif self._server is not None:
                await self._server.drop_database(url.rpartition("/")[2])


async def one_seed(templates: Templates, seed: int, calls: int, results: dict[str, Any]) -> bool:
    """One pair of worlds and its calls; whether there was no difference and no failure."""
    kind, dice = DATABASES[seed % 2], random.Random(seed)
    url, known, copy = await templates.fresh(kind)
    pair = await make_pair(url, known, copy, dice, connection_without_consent)
    found = await compare(pair, dice, calls)
    await templates.forget(*pair.urls)
    results["next_seed"] = seed + 1
    results["calls"][kind] += sum(found.statuses.values())
    for status, number in found.statuses.items():
        results["statuses"][str(status)] = results["statuses"].get(str(status), 0) + number
    results["statuses"] = dict(sorted(results["statuses"].items()))
    results["differences"] += [[seed, described(call)] for call in found.differ]
    results["failures"] += [[seed, described(call)] for call in found.failed]
    return not found.differ and not found.failed


async def go_on(calls: int, results_file: Path) -> int:
    """Go on for so many calls; the exit code says whether the worlds were the same to everybody."""
    results = load(results_file, EMPTY)
    done = 0
    with tempfile.TemporaryDirectory(prefix="harmline-worlds-") as folder:
        templates = Templates(Path(folder))
        while done < calls:
            now = min(CALLS_A_PAIR, calls - done)
            same = await one_seed(templates, results["next_seed"], now, results)
            done += now
            save(results, results_file)
            print(f"\r{done} of {calls} calls, {len(results['differences'])} told the worlds apart", end="", flush=True)
            if not same:
                print("\n" + "\n".join(f"seed {seed}: {call}" for seed, call in results["differences"] + results["failures"]))
                return 1
    print()
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Whether one member has any data is told by nothing that others see.")
    arguments.add_argument("--calls", type=int, default=100_000)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(asyncio.run(go_on(given.calls, given.results)))
