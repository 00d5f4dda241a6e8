"""Eight scheduler processes, killed and paused at random, over one fake provider: the code of `tests/intake`, with more.

`./run campaign polling [--polls 10000]` plays rounds on SQLite and PostgreSQL in turn, adds each to docs/campaigns/polling.json,
and can be stopped at any time. It stops by itself at the first round in which two asked at once, a row was missed or a stale
holder committed. A holder that was paused between its look at the lease and its request sends that one request late, while
another asks: these are counted beside the others, and there may be no more of them than pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.intake.patience import LONGEST_WAIT
from app.kit import clock
from app.kit.migrate import upgrade
from connectors.sandboxing import serving
from tests.intake.test_leases import checked, kept_by_connection, prepare, schedulers, with_signal
from tests.intake.witness import stale_commits
from tests.support.paged import PagedSandbox, paged_registered
from tests.support.postgres import start_supervised
from tests.support.world import make_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "polling.json"
COUNTED = ("rounds", "polls", "killed", "paused", "overlaps", "late_requests_of_paused", "stale_commits", "missed")
EMPTY = {"command": "./run campaign polling", **dict.fromkeys(COUNTED, 0)}
SECONDS = 120
"""Of one round: to start eight processes and a world takes some of them, whatever is done then."""


async def one_round(database_url: str, seed: int, results: dict[str, Any]) -> bool:
    """One round on one database; whether every rule held. Odd rounds kill and pause."""
    dice, rough = random.Random(seed), seed % 2 == 1
    provider = PagedSandbox(lambda: datetime.now(UTC))
    provider.seconds, paused = 0.002, 0
    provider.add(datetime.now(UTC), "ref-nobody")
    with tempfile.TemporaryDirectory() as folder, paged_registered():
        async with make_world(database_url) as world, serving(provider) as base_url:
            await prepare(world, base_url, 20)
            lease = 1.5 if rough else 30
            async with schedulers(world, Path(folder), base_url, 8, every=0.05, lease=lease) as processes:
                for second in range(SECONDS):
                    provider.add(datetime.now(UTC), "ref-nobody", count=dice.randrange(3))
                    await asyncio.sleep(1)
                    if rough and second % 4 == 3:
                        with_signal(dice.choice(processes[4:]), signal.SIGCONT)
                        with_signal(dice.choice(processes[4:]), signal.SIGSTOP)
                        paused += 1
                    if rough and second in {8, 16, 24}:
                        with_signal(processes[second // 8], signal.SIGKILL)
                        results["killed"] += 1
            stale = await stale_commits(world.context.database)
            polls = 0 if stale else await checked(world, provider)
            clock.set_to(datetime.now(UTC) + LONGEST_WAIT)
            await world.workers.ask()
            missed = sum(len(provider.rows) - kept for _, kept in await kept_by_connection(world))
            await world.workers.asker.close()
    late = min(provider.overlaps, paused)
    found = {"rounds": 1, "polls": polls, "paused": paused, "missed": missed, "stale_commits": stale}
    found |= {"overlaps": provider.overlaps - late, "late_requests_of_paused": late}
    for name, count in found.items():
        results[name] += count
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(f"round {results['rounds']}: {', '.join(f'{name} {count}' for name, count in found.items())}\n")
    sys.stdout.flush()
    return not found["overlaps"] and not missed and not stale


async def main(polls: int) -> int:
    """Go on until so many polls are added; the exit code says whether every rule held."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else dict(EMPTY)
    wanted = results["polls"] + polls
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(start_supervised, Path(folder), os.getpid())
        while results["polls"] < wanted:
            seed = results["rounds"]
            url = f"sqlite+aiosqlite:///{folder}/{seed}.db" if seed % 4 < 2 else await server.create_database(f"round_{seed}")
            await asyncio.to_thread(upgrade, url)
            if not await one_round(url, seed, results):
                return 1
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Many schedulers, killed and paused, over one fake provider.")
    arguments.add_argument("--polls", type=int, default=10_000)
    sys.exit(asyncio.run(main(arguments.parse_args().polls)))
