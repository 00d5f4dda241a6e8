"""Kills, faults and the checker after them: the code of `tests/crash`, with bigger numbers.

`./run campaign crash [--kills 300] [--acknowledged 100000]` plays episodes on SQLite and PostgreSQL in turn, adds each to
docs/campaigns/crash.json, and can be stopped at any time: what is not checked is not counted, and its seed is played again.
It stops by itself at the first episode that breaks a promise and names the seed; `--seed N` plays one episode again and
writes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.support.machine import facts
from benchmarks.support.results import save
from tests.crash.cluster import Cluster
from tests.crash.deliveries import Script
from tests.crash.episode import AT_RANDOM, EVERY_POINT, EVERY_WAY, ON_POSTGRESQL, ON_SQLITE, Outcome, Plan, play
from tests.crash.system import Zygote

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "crash.json"
EMPTY: dict[str, Any] = {
    "command": "./run campaign crash",
    "next_seed": 1,
    "episodes": 0,
    "kills": 0,
    "database_kills": 0,
    "sent": 0,
    "acknowledged": 0,
    "polled": 0,
    "lost": 0,
    "twice": 0,
    "invented": 0,
    "seconds": 0,
    "kills_by_kind": {},
    "faults": {},
    "answers": {},
    "broken_seeds": [],
    "played": [],
}


def planned(seed: int, *, on_postgresql: bool, connections: int, stride: int, each: int) -> Plan:
    """What the episode of a seed does; every other on either database brings bad lines, wrong clocks, stops and full disks."""
    rough = seed % 4 in (2, 3)
    faults = (ON_POSTGRESQL if on_postgresql else ON_SQLITE) if rough else ()
    database = EVERY_WAY * 2 if on_postgresql else ()
    acts = (*EVERY_POINT, *[AT_RANDOM] * 10, *database, *faults)
    return Plan(seed, acts, Script(seed, stride=stride, members=200), connections, each)


async def episode(seed: int, zygote: Zygote, options: argparse.Namespace) -> Outcome:
    """Play one seed over a database of its own: odd ones on PostgreSQL, even ones on SQLite."""
    on_postgresql = seed % 2 == 1
    plan = planned(seed, on_postgresql=on_postgresql, connections=options.connections, stride=options.stride, each=options.each)
    with tempfile.TemporaryDirectory(prefix="harmline-crash-", dir="/var/tmp") as folder:
        if not on_postgresql:
            return await play(plan, zygote, Path(folder), f"sqlite+aiosqlite:///{folder}/crash.db", None)
        cluster = Cluster()
        try:
            await cluster.start()
            return await play(plan, zygote, Path(folder), await cluster.server.create_database("crash"), cluster)
        finally:
            cluster.remove()


def add(results: dict[str, Any], seed: int, outcome: Outcome, seconds: float) -> None:
    """Add one checked episode to what there is, and write it down."""
    found = outcome.found
    results["next_seed"], results["episodes"] = seed + 1, results["episodes"] + 1
    results["kills"] += sum(outcome.kills.values())
    results["database_kills"] += sum(count for name, count in outcome.kills.items() if name.startswith("PostgreSQL"))
    for name in ("sent", "acknowledged", "polled", "lost", "twice", "invented"):
        results[name] += getattr(found, name)
    results["seconds"] += round(seconds)
    on = facts(Path("/var/tmp"))
    results.setdefault("played", []).append({"seed": seed, "date": on["date"], "commit": on["commit"]})
    for name, more in (("kills_by_kind", outcome.kills), ("faults", outcome.faults), ("answers", outcome.statuses)):
        results[name] = dict(sorted((Counter(results[name]) + more).items()))
    save(results, RESULTS)


async def main(options: argparse.Namespace) -> int:
    """Go on until so many kills and acknowledged deliveries are added; the exit code says whether every promise held."""
    zygote = Zygote()
    try:
        if options.seed:
            print(await episode(options.seed, zygote, options))
            return 0
        results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else EMPTY
        kills, acknowledged = results["kills"] + options.kills, results["acknowledged"] + options.acknowledged
        while results["kills"] < kills or results["acknowledged"] < acknowledged:
            seed, before = results["next_seed"], time.monotonic()
            try:
                outcome = await episode(seed, zygote, options)
            except AssertionError as error:
                results["broken_seeds"].append(seed)
                save(results, RESULTS)
                print(error)
                return 1
            add(results, seed, outcome, time.monotonic() - before)
            told = {name: results[name] for name in ("episodes", "kills", "database_kills", "acknowledged", "lost", "twice")}
            print(f"seed {seed}: {outcome.found}\n  so far {told}", flush=True)
        return 0
    finally:
        zygote.close()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Kills, faults and what was kept.")
    arguments.add_argument("--kills", type=int, default=300)
    arguments.add_argument("--acknowledged", type=int, default=100_000)
    arguments.add_argument("--each", type=int, default=10_000, help="an episode goes on until so many are acknowledged")
    arguments.add_argument("--connections", type=int, default=32)
    arguments.add_argument("--stride", type=int, default=20, help="one delivery in so many is about an alert")
    arguments.add_argument("--seed", type=int, default=0, help="play this one episode again, and write nothing down")
    sys.exit(asyncio.run(main(arguments.parse_args())))
