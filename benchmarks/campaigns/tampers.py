"""Tampers with a log, over and over, as somebody may who owns the database and has stolen its key: all must be found.

`./run campaign tampers [--tampers 70000]` grows a log for each block of a hundred seeds, of sizes that the block's number
decides, on SQLite and PostgreSQL in turn. Each seed does the worst of each of the seven kinds (`tests/ledger/tampering.py`)
and holds the log against what was kept elsewhere before: an old checkpoint, or a witness's copy. It goes on after the last
block in docs/campaigns/tampers.json and adds up there block by block, so that it can be stopped at any time. It ends with 1
when something was not found, or not called what it was.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import structlog

from benchmarks.campaigns.privacy import Templates
from benchmarks.support.results import load, save
from tests.ledger.tampering import KINDS, missed, rigged
from tests.support.world import make_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "tampers.json"
SEEDS_OF_A_BLOCK = 100
DATABASES = ("sqlite", "postgresql")
EMPTY: dict[str, Any] = {
    "command": "./run campaign tampers",
    "seeds_of_a_block": SEEDS_OF_A_BLOCK,
    "next_block": 0,
    "tampers": dict.fromkeys(DATABASES, 0),
    "by_kind": dict.fromkeys(KINDS, 0),
    "leaves": {"smallest": None, "largest": None},
    "missed": [],
}


def sizes(block: int) -> list[int]:
    """How many entries a log has between its checkpoints: mostly few, every fifth log enough for stored subtrees."""
    dice = random.Random(f"sizes {block}")
    found = [dice.choice((1, 2, 3, 8, 20, 40)) for _ in range(dice.randint(3, 7))]
    if block % 5 == 0:
        found[dice.randrange(len(found) - 1)] = dice.choice((255, 256, 300))
    return found


async def one_block(templates: Templates, block: int, results: dict[str, Any]) -> None:
    """Every kind with every seed of a block, over a log of its own."""
    url, known, _ = await templates.fresh(kind_of_database := DATABASES[block % 2])
    seeds = range(block * SEEDS_OF_A_BLOCK, (block + 1) * SEEDS_OF_A_BLOCK)
    async with make_world(url, known) as world, rigged(world, sizes(block)) as (owner, grown):
        for kind in KINDS:
            told = [await missed(owner, grown, kind, seed) for seed in seeds]
            results["missed"] += [one for one in told if one is not None]
            results["by_kind"][kind] += len(told)
            results["tampers"][kind_of_database] += len(told)
    await templates.forget(url)
    leaves, size = results["leaves"], grown.size
    results["leaves"] = {"smallest": min(size, leaves["smallest"] or size), "largest": max(size, leaves["largest"] or size)}
    results["next_block"] = block + 1


async def go_on(tampers: int, results_file: Path) -> int:
    """Go on for so many tampers at least; the exit code says whether all were found."""
    results, done = load(results_file, EMPTY), 0
    with tempfile.TemporaryDirectory(prefix="harmline-tampers-") as folder:
        templates = Templates(Path(folder))
        while done < tampers:
            await one_block(templates, results["next_block"], results)
            done += SEEDS_OF_A_BLOCK * len(KINDS)
            save(results, results_file)
            print(f"\r{done} of {tampers} tampers, {len(results['missed'])} not found", end="", flush=True)
            if results["missed"]:
                print("\n" + "\n".join(results["missed"]))
                return 1
    print()
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Whatever the owner of the database does to a log is found.")
    arguments.add_argument("--tampers", type=int, default=70_000)
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(asyncio.run(go_on(given.tampers, given.results)))
