"""Whoever replaces keys is killed at every single step: before and after each statement, each commit, each file.

`./run campaign rotation_steps [--seeds 22]` lets somebody replace all keys of a filled world, dies with them at one step, looks
whether everything opens, lets the next one end it, looks again, and goes on with another step: every eleventh in a seed, so that
eleven seeds have each step once, on PostgreSQL and SQLite in turn (a quarter of an hour). It goes on after the last seed in
docs/campaigns/rotation_steps.json and adds up there after every seed, so that it can be stopped at any time. It ends with 1 when
something was unreadable or lost, and when eleven seeds on one database have left out a kind of step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import structlog

from benchmarks.campaigns.privacy import DATABASES, Templates
from benchmarks.support.results import load, save
from tests.crash.killed import Launcher, launcher
from tests.crash.test_asking_killed import KILLED
from tests.crash.test_rotation_killed import EVERYTHING, SELDOM, Rotating, all_steps, deaths, require_whole
from tests.support.world import make_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "rotation_steps.json"
ALL_SEEDS = SELDOM * len(DATABASES)


def empty() -> dict[str, Any]:
    """Nothing found yet."""
    found: dict[str, Any] = {"command": "./run campaign rotation_steps", "next_seed": 0, "broken_seeds": []}
    return found | {kind: {"steps": 0, "killed": 0, "died_at": {}, "seeds": []} for kind in DATABASES}


async def one_seed(templates: Templates, forks: Launcher, seed: int, found: dict[str, Any]) -> None:
    """One world, and everybody who dies in it. Raises AssertionError."""
    kind, number = DATABASES[seed % 2], seed // 2 % SELDOM
    url, known, _ = await templates.fresh(kind)
    with tempfile.TemporaryDirectory(prefix="harmline-steps-") as folder:
        async with make_world(url, known) as world:
            rig = Rotating(world, forks, Path(folder), "", world.union.connection.connection.id)
            steps = await all_steps(world, rig)
            before = await rig.read()
            for die_at in deaths(number, len(steps)):
                rig.died_at.update(await rig.rotate(die_at))
                assert await rig.read() == before, f"after a death at step {die_at}, {steps[die_at - 1]}"
                await rig.rotate()
                assert await rig.read() == before, f"after the one that followed a death at step {die_at}"
            await require_whole(world)
    await templates.forget(url)
    mine = found[kind]
    mine["steps"] = max(mine["steps"], len(steps))
    mine["killed"] += rig.codes[KILLED]
    mine["died_at"] = dict(sorted((Counter(mine["died_at"]) + rig.died_at).items()))
    mine["seeds"] = sorted({*mine["seeds"], number})


def left_out(found: dict[str, Any]) -> dict[str, list[str]]:
    """The kinds of steps at which nobody died, by database, of those databases that have had all seeds."""
    done = [kind for kind in DATABASES if len(found[kind]["seeds"]) == SELDOM]
    missing = {kind: sorted(EVERYTHING - set(found[kind]["died_at"])) for kind in done}
    return {kind: names for kind, names in missing.items() if names}


async def go_on(seeds: int, found: dict[str, Any], results: Path) -> int:
    """Go on for so many seeds; the exit code says whether all could be read, and whether every kind of step was met."""
    with tempfile.TemporaryDirectory(prefix="harmline-steps-") as folder, launcher() as forks:
        templates = Templates(Path(folder))
        for _ in range(seeds):
            seed = found["next_seed"]
            try:
                await one_seed(templates, forks, seed, found)
            except AssertionError as error:
                found["broken_seeds"].append(seed)
                print(f"seed {seed}: {error}")
            found["next_seed"] = seed + 1
            save(found, results)
            if found["broken_seeds"]:
                return 1
            print(f"seed {seed}: " + ", ".join(f"{kind} {found[kind]['killed']} killed" for kind in DATABASES), flush=True)
    missing = left_out(found)
    print(json.dumps({"left_out": missing}))
    return 1 if missing else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Keys replaced, and whoever replaces them killed at every step.")
    arguments.add_argument("--seeds", type=int, default=ALL_SEEDS, help="even ones on PostgreSQL, odd ones on SQLite")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    given = arguments.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(asyncio.run(go_on(given.seeds, load(given.results, empty()), given.results)))
