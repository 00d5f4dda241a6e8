"""Whether the time of an answer tells who is known: the same question about those who are there and those who are not, in turns.

`./run campaign enumeration [--rounds 400]` asks, in a random order, for a link and to sign in with a wrong password: for a member
with a password, one without, staff and nobody; and for an incident that is somebody else's and one that is not there. The
answers of one question are compared by Welch's t-test; |t| below 4.5 shows nothing (security.md E7, F13). The first rounds warm
up and are left out, and so is the slowest hundredth of each: a machine's hiccups, which a t-test takes for more than they are.
What it found is added to docs/campaigns/enumeration.json; it ends with 1 when a time told something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import combinations
from pathlib import Path

import numpy
from scipy import stats

from app.access.roles import Role
from app.kit.ids import uuid7
from app.kit.logging import configure
from app.kit.migrate import upgrade
from benchmarks.support.machine import facts
from benchmarks.support.running import record
from tests.access.entering import first_password
from tests.access.scene import make_scene
from tests.support.world import World, make_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "enumeration.json"
COMMAND = "./run campaign enumeration"
MOST = 4.5
WARM_UP = 20
SLOWEST_LEFT_OUT = 0.01
ADDRESSES = {
    "a member with a password": "avery@example.org",
    "a member without": "blake@example.org",
    "staff": "staff@union.example",
    "nobody": "nobody@example.org",
}

Ask = Callable[[], Awaitable[object]]


async def questions(world: World) -> dict[str, dict[str, Ask]]:
    """What is asked, about whom."""
    scene = await make_scene(world)
    await first_password(world)
    nobody, member = world.browser(), await world.sign_in(Role.MEMBER)

    def link(email: str) -> Ask:
        return lambda: nobody.post("/sign-in", data={"email": email})

    def guess(email: str) -> Ask:
        return lambda: nobody.post("/sign-in/password", data={"member-email": email, "password": "x" * 20, "code": "123456"})

    def incident(found: Callable[[], object]) -> Ask:
        return lambda: member.get(f"/v1/incidents/{found()}")

    theirs = scene.places["other_member"]["incident_id"]
    return {
        "asking for a link": {who: link(email) for who, email in ADDRESSES.items()},
        "a wrong password": {who: guess(email) for who, email in ADDRESSES.items()},
        "an incident": {"somebody else's": incident(lambda: theirs), "not there": incident(uuid7)},
    }


async def times(asked: dict[str, Ask], rounds: int, dice: random.Random) -> dict[str, list[float]]:
    """Seconds of each answer by whom it was about, in a new order each round."""
    taken: dict[str, list[float]] = {who: [] for who in asked}
    for number in range(rounds + WARM_UP):
        for who in dice.sample(sorted(asked), len(asked)):
            begun = time.perf_counter()
            await asked[who]()
            if number >= WARM_UP:
                taken[who].append(time.perf_counter() - begun)
    return taken


def greatest_t(taken: dict[str, list[float]]) -> tuple[float, str]:
    """The greatest |t| of any two, and which two."""
    kept = {who: sorted(seconds)[: int(len(seconds) * (1 - SLOWEST_LEFT_OUT))] for who, seconds in taken.items()}
    pairs = {
        f"{one} / {other}": abs(float(stats.ttest_ind(kept[one], kept[other], equal_var=False).statistic))
        for one, other in combinations(kept, 2)
    }
    worst = max(pairs, key=lambda pair: pairs[pair])
    return pairs[worst], worst


async def measured(rounds: int, seed: int) -> dict[str, dict[str, object]]:
    """Ask everything; what was found by question."""
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/harmline.db"
        await asyncio.to_thread(upgrade, url)
        async with make_world(url, sign_in_rate=0) as world:
            for question, asked in (await questions(world)).items():
                taken = await times(asked, rounds, random.Random(seed))
                t, pair = greatest_t(taken)
                medians = {who: round(1000 * float(numpy.median(seconds)), 3) for who, seconds in taken.items()}
                found[question] = {"greatest_t": round(t, 2), "of": pair, "median_ms": medians}
                print(f"{question}: |t| at most {t:.2f} ({pair}); medians in ms: {medians}", flush=True)
    return found


def main(given: argparse.Namespace) -> int:
    """Run once, record, and say whether no time told anything."""
    configure(logging.ERROR)
    found = asyncio.run(measured(given.rounds, given.seed))
    told = [question for question, one in found.items() if float(str(one["greatest_t"])) >= MOST]
    record(
        RESULTS,
        COMMAND,
        {"machine": facts(Path(tempfile.gettempdir())), "rounds": given.rounds, "seed": given.seed, "found": found, "told": told},
    )
    print(json.dumps({"told": told}))
    return 1 if told else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=COMMAND)
    arguments.add_argument("--rounds", type=int, default=400)
    arguments.add_argument("--seed", type=int, default=1)
    sys.exit(main(arguments.parse_args()))
