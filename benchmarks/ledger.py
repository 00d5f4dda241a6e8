"""The log beside the ledger: how fast it follows and is verified, what that costs who delivers, what of tampering is found.

`./run bench ledger` does four things, one after another, on SQLite and on a PostgreSQL that flushes (var/bench):

- so many entries are given their places (leaves a second, checkpoints and all), then the whole log is verified;
- deliveries come over real HTTP to two servers in turns, with databases of their own: one whose entries wait for a log that
  follows them in the same process, one without the trigger and without anybody who follows. What is lost is the difference. A
  turn ends while some entries still wait; the loss is raised as if they had been placed within it;
- a log is tampered with in seven kinds of ways by its owner, and held against a copy from before (tests/ledger/tampering.py);
- the root over a million leaves is compared with that of pymerkle, another's implementation. It is GPL, and so lives in a
  folder and a process of its own.

The first three decide; what is told last, as JSON, is the worse of both databases. `--quick` does a little of each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import text

from app.kit.database import Database
from app.kit.ids import uuid7
from app.kit.migrate import upgrade
from app.kit.rows import insert_rows
from app.ledger.models import LedgerEntry
from app.ledger.sequencing import integrate
from app.ledger.service import Act, Entry, entry_row
from app.ledger.tree import Frontier, leaf_hash
from app.ledger.verifying import verify
from benchmarks.support.child import ROOT, Child
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres
from benchmarks.support.servers import HARMLINE, Stage, Target, harmline_environment, stage, start
from tests.ledger.tampering import KINDS, missed, rigged
from tests.support.world import World, fill, make_world

DATABASES = ("sqlite", "postgresql")
WRITTEN_AT_ONCE = 5_000
FOLLOWED_EVERY = 1.0
"""Seconds from one time that the log follows to the next, in the measured server; the service does so every three."""

CONNECTIONS = 64
FASTEST = 5_000
"""Deliveries a second for which distinct bodies are prepared."""

WITH, WITHOUT = "with the log", "without"
SIZES = (3, 120, 40, 1, 100, 12)
COMPARED_AT = (1, 2, 3, 7, 255, 256, 257, 1_000, 65_535, 65_536, 65_537, 100_000, 999_999, 1_000_000)
REQUIREMENTS = Path(__file__).with_name("ledger-requirements.txt")
THEIRS = """
import sys
from pymerkle import InmemoryTree
tree = InmemoryTree(algorithm="sha256")
for number in range(int(sys.argv[1])):
    tree.append_entry(b"leaf %d" % number)
for size in sys.argv[2:]:
    print(tree.get_root(int(size)).hex())
"""


@contextmanager
def database_url(kind: str, folder: Path, name: str) -> Iterator[str]:
    """An empty, migrated database of one kind."""
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite+aiosqlite:///{folder}/{name}.db"
        else:
            url = asyncio.run(stack.enter_context(durable_postgres(folder / "postgres")).create_database(name))
        upgrade(url)
        yield url


async def written(world: World, count: int) -> None:
    """So many entries that wait for their places, as acts leave them."""
    entry = Entry(world.union.id, Act.VIEW, {"what": "timeline"}, {"link": uuid7(), "incident": uuid7()}, member_id=uuid7())
    for start_at in range(0, count, WRITTEN_AT_ONCE):
        rows = [entry_row(entry, uuid7(), os.urandom(32)) for _ in range(min(WRITTEN_AT_ONCE, count - start_at))]
        async with world.context.database.begin() as tx:
            await insert_rows(tx, LedgerEntry, rows)


async def follows(url: str, count: int) -> dict[str, Any]:
    """Leaves a second: given their places, and verified."""
    async with make_world(url, await fill(url)) as world:
        await world.workers.log()
        await written(world, count)
        database, begun = world.context.database, time.perf_counter()
        placed = await integrate(database, world.context.keyring, "bench.example")
        took = time.perf_counter() - begun
        begun = time.perf_counter()
        async with database.begin(read_only=True) as tx:
            report = await verify(tx, world.union.id)
        verified = time.perf_counter() - begun
    if placed < count or not report.is_whole:
        raise RuntimeError(f"{placed} of {count} entries have their places: {report.findings[:3]}")
    return {"leaves_per_s": round(placed / took), "verify_leaves_per_s": round(report.leaves / verified), "leaves": placed}


async def tampers(url: str, each: int) -> dict[str, Any]:
    """How many tampers were done, so many of each kind, and how many were found."""
    async with make_world(url, await fill(url)) as world, rigged(world, SIZES) as (owner, grown):
        told = [await missed(owner, grown, kind, seed) for kind in KINDS for seed in range(each)]
    not_found = [one for one in told if one is not None]
    for one in not_found[:10]:
        print(f"NOT FOUND: {one}")
    return {"tampers": len(told), "detected": len(told) - len(not_found)}


async def asked(place: Stage, *statements: str) -> int:
    """Do something as the owner of a database; the first number of the last answer, 0 for none."""
    database = Database(place.harmline_url)
    async with database.engine.begin() as owner:
        answers = [await owner.execute(text(statement)) for statement in statements]
        number = answers[-1].scalar() if answers[-1].returns_rows else 0
    await database.close()
    return int(number or 0)


def waiting(place: Stage) -> int:
    """How many entries wait for their places."""
    return asyncio.run(asked(place, "SELECT count(*) FROM ledger_pending"))


class Turns:
    """Two servers that take deliveries in turns."""

    def __init__(self, places: dict[str, Stage], targets: dict[str, Target], sender: Child, seconds: float) -> None:
        self._places, self._targets, self._sender, self._seconds = places, targets, sender, seconds
        self._turn = 0

    def once(self, which: str) -> tuple[float, float]:
        """One turn of one of them: deliveries a second, and the share of its entries that had their places at its end."""
        self._turn += 1
        place, target = self._places[which], self._targets[which]
        job = {
            "run": f"ledger-{self._turn}",
            "port": target.port,
            "path": target.path,
            "secret": place.secret,
            "bodies": "distinct",
            "most": int(FASTEST * self._seconds),
            "connections": CONNECTIONS,
            "seconds": self._seconds,
        }
        self._sender.tell(job)
        result = self._sender.hear()
        if result["refused"]:
            raise RuntimeError(f"{which}: {result['refused']}")
        left = waiting(place)
        while waiting(place):  # so that the other's turn is not disturbed
            time.sleep(FOLLOWED_EVERY / 4)
        return float(result["per_s"]), 1 - min(left / result["acknowledged"], 0.9)


def intake_cost(kind: str, folder: Path, turns: int, seconds: float) -> dict[str, Any]:
    """What is lost of the deliveries a second, between 0 and 1."""
    rates: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    shares: list[float] = []
    with ExitStack() as stack:
        places, targets = {}, {}
        for number, which in enumerate((WITH, WITHOUT)):
            own = folder / f"intake-{number}"
            own.mkdir()
            own.chmod(0o755)  # PostgreSQL's user goes through it
            place = places[which] = stack.enter_context(stage(kind, own))
            if which is WITHOUT:
                beside = " ON ledger_entry" if kind == "postgresql" else ""
                asyncio.run(asked(place, f"DROP TRIGGER ledger_entry_waits{beside}", "DELETE FROM ledger_pending"))
            followed = {"BENCH_LEDGER": str(FOLLOWED_EVERY)} if which is WITH else {}
            environment = {**harmline_environment(place.harmline_url, own / "top.key"), **followed}
            targets[which] = start(HARMLINE, own, environment, 1, place.path)
            stack.callback(targets[which].stop)
            targets[which].ready()
        sender = Child("benchmarks.support.client", log=folder / "client.log")
        stack.callback(sender.stop)
        sender.hear()
        both = Turns(places, targets, sender, seconds)
        for turn in range(turns + 1):
            for which in (WITH, WITHOUT) if turn % 2 else (WITHOUT, WITH):
                rate, share = both.once(which)
                if turn:  # the first turn warms up
                    rates[which].append(rate)
                    shares += [share] if which is WITH else []
    ratio = statistics.median(a / b for a, b in zip(rates[WITH], rates[WITHOUT], strict=True))
    placed = statistics.median(shares)
    return {
        **{which: round(statistics.median(each)) for which, each in rates.items()},
        "intake_cost": round((1 - ratio) / placed, 4),
        "placed_within_turns": round(placed, 3),
    }


def compared(count: int, folder: Path) -> dict[str, Any]:
    """The roots at several sizes up to `count`, ours and pymerkle's."""
    sizes = sorted({one for one in COMPARED_AT if one < count} | {count})
    tool = folder / "pymerkle"
    uv = [str(ROOT / ".venv" / "bin" / "uv"), "--no-progress", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    subprocess.run([*uv, "--python", sys.executable, "--target", str(tool), "-r", str(REQUIREMENTS)], check=True)
    command = [sys.executable, "-c", THEIRS, str(count), *map(str, sizes)]
    environment = {**os.environ, "PYTHONPATH": str(tool), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    theirs, ours, tree, here = done.stdout.split(), list[str](), Frontier(), 0
    for size in sizes:
        tree.extend([leaf_hash(b"leaf %d" % number) for number in range(here, size)])
        ours.append(tree.root().hex())
        here = size
    return {"compared_leaves": count, "compared_roots": len(sizes), "roots_equal": ours == theirs}


def measured(kind: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everything about one kind of database."""
    with database_url(kind, folder, "follows") as url:
        found = asyncio.run(follows(url, given.leaves))
    shutil.rmtree(folder / "postgres", ignore_errors=True)
    found |= intake_cost(kind, folder, given.turns, given.seconds)
    if kind == "sqlite":
        with database_url(kind, folder, "tampers") as url:
            found |= asyncio.run(tampers(url, given.tampers))
    return found


def main(given: argparse.Namespace) -> int:
    """Measure once and say what was found; 1 when a tamper was not found, or a root is another."""
    folder = bench_folder() / "ledger"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o755)
    every: dict[str, Any] = {"machine": facts(folder)}
    for kind in given.database or DATABASES:
        place = folder / kind
        place.mkdir()
        place.chmod(0o755)
        every[kind] = measured(kind, place, given)
        print(f"{kind}: {every[kind]}", flush=True)
    kinds = [every[kind] for kind in given.database or DATABASES]
    every |= compared(given.compared, folder)
    every |= {name: min(one[name] for one in kinds) for name in ("leaves_per_s", "verify_leaves_per_s")}
    every["intake_cost"] = max(one["intake_cost"] for one in kinds)
    every |= {name: sum(one.get(name, 0) for one in kinds) for name in ("tampers", "detected")}
    shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(every))
    return 0 if every["roots_equal"] and every["tampers"] == every["detected"] else 1


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="The log: how fast, at what cost, and what of tampering is found.")
    arguments.add_argument("--quick", action="store_true", help="a little of each")
    arguments.add_argument("--leaves", type=int, help="entries that are given their places (20,000 if quick, else 300,000)")
    arguments.add_argument("--turns", type=int, help="how often each takes deliveries (2 if quick, else 12)")
    arguments.add_argument("--seconds", type=float, help="how long a turn is (4 if quick, else 10)")
    arguments.add_argument("--tampers", type=int, help="of each of the seven kinds (10 if quick, else 1,000)")
    arguments.add_argument(
        "--compared", type=int, help="leaves that are compared with pymerkle's (20,000 if quick, else 1,000,000)"
    )
    arguments.add_argument("--database", action="append", choices=DATABASES, help="this one only")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    parsed = arguments.parse_args()
    for name, few, many in (
        ("leaves", 20_000, 300_000),
        ("turns", 2, 12),
        ("seconds", 4.0, 10.0),
        ("tampers", 10, 1_000),
        ("compared", 20_000, 1_000_000),
    ):
        setattr(parsed, name, getattr(parsed, name) or (few if parsed.quick else many))
    sys.exit(main(parsed))
