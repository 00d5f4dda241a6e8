"""Whether the time of an answer tells who is known: the same question about those who are there and those who are not, in turns.

`./run campaign enumeration [--rounds 400] [--minutes 15]` asks, in a random order, for a link and to sign in with a wrong
password: for a member with a password, one without, staff and nobody; and for an incident that is somebody else's and one that is
not there. It adds up in docs/campaigns/enumeration.json, hundred rounds after hundred, up to `--until` 10,000, and can be stopped
at any time.

Of each hundred the slowest answer of each is left out: a machine's hiccups, which a t-test takes for more than they are. Within a
hundred two are compared as Welch does; the differences and their variances are added up, so that a machine that is slower for an
hour is so for both. |t| below 4.5 shows nothing (security.md E7, F13); `sees_ms` is the difference that so many rounds would have
shown. The first rounds of each start warm up and are left out. It ends with 1 when a time told something.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy

from app.access.roles import Role
from app.kit.ids import uuid7
from app.kit.logging import configure
from app.kit.migrate import upgrade
from benchmarks.support.machine import facts
from tests.access.entering import first_password
from tests.access.scene import make_scene
from tests.support.world import World, make_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "enumeration.json"
COMMAND = "./run campaign enumeration"
MOST = 4.5
WARM_UP = 20
AT_ONCE = 100
SLOWEST_LEFT_OUT = 1
ENOUGH = 10_000
ADDRESSES = {
    "a member with a password": "avery@example.org",
    "a member without": "blake@example.org",
    "staff": "staff@union.example",
    "nobody": "nobody@example.org",
}

Ask = Callable[[], Awaitable[object]]
Times = dict[str, list[float]]
Found = dict[str, Any]


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


async def times(asked: dict[str, Ask], rounds: int, dice: random.Random) -> Times:
    """Seconds of each answer by whom it was about, in a new order each round."""
    taken: Times = {who: [] for who in asked}
    for _ in range(rounds):
        for who in dice.sample(sorted(asked), len(asked)):
            begun = time.perf_counter()
            await asked[who]()
            taken[who].append(time.perf_counter() - begun)
    return taken


def add(found: Found, taken: Times) -> Found:
    """One more hundred: what was found, with the differences of any two in it, and the means."""
    kept = {who: sorted(seconds)[: len(seconds) - SLOWEST_LEFT_OUT] for who, seconds in taken.items()}
    mean = {who: 1000 * float(numpy.mean(seconds)) for who, seconds in kept.items()}
    spread = {who: 1e6 * float(numpy.var(seconds, ddof=1)) / len(seconds) for who, seconds in kept.items()}
    number = int(found.get("hundreds", 0))
    before, means = found.get("pairs", {}), found.get("mean_ms", {})
    pairs = {}
    for one, other in combinations(sorted(kept), 2):
        difference, variance = before.get(f"{one} / {other}", (0.0, 0.0))
        pairs[f"{one} / {other}"] = [difference + mean[one] - mean[other], variance + spread[one] + spread[other]]
    averages = {who: (means.get(who, 0.0) * number + mean[who]) / (number + 1) for who in sorted(kept)}
    return {"hundreds": number + 1, "pairs": pairs, "mean_ms": averages}


def greatest_t(found: Found) -> tuple[float, str]:
    """The greatest |t| of any two, and which two."""
    sizes = {pair: abs(difference) / math.sqrt(variance) for pair, (difference, variance) in found["pairs"].items()}
    worst = max(sizes, key=lambda pair: sizes[pair])
    return sizes[worst], worst


def sees_ms(found: Found) -> float:
    """Milliseconds that two answers would have to differ by to be told apart, in the noisiest pair."""
    noisiest: float = max(variance for _, variance in found["pairs"].values())
    return MOST * math.sqrt(noisiest) / int(found["hundreds"])


async def go_on(results: dict[str, Any], rounds: int, until: int, deadline: float, save: Callable[[], None]) -> None:
    """Ask everything in hundreds, each of all questions, and save after each; whatever comes first ends it."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/harmline.db"
        await asyncio.to_thread(upgrade, url)
        async with make_world(url, sign_in_rate=0) as world:
            asked = await questions(world)
            for ask in asked.values():
                await times(ask, WARM_UP, random.Random(results["rounds"]))
            for _ in range(math.ceil(rounds / AT_ONCE)):
                if results["rounds"] >= until or time.monotonic() > deadline:
                    return
                dice = random.Random(results["rounds"])
                found = {
                    question: add(results["found"].get(question, {}), await times(ask, AT_ONCE, dice))
                    for question, ask in asked.items()
                }
                results["found"], results["rounds"] = found, results["rounds"] + AT_ONCE
                save()
                print(f"{results['rounds']} rounds: " + "; ".join(told_of(found)), flush=True)


def told_of(found: dict[str, Found]) -> list[str]:
    """Each question with its greatest |t|."""
    return [f"{question} |t| {greatest_t(one)[0]:.2f} ({greatest_t(one)[1]})" for question, one in found.items()]


def load(file: Path) -> dict[str, Any]:
    """What was found so far, also by runs of before, which were compared each by itself."""
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"command": COMMAND, "runs": []}
    return {"added": {"rounds": 0, "found": {}, "machines": []}, **kept}


def main(given: argparse.Namespace) -> int:
    """Go on, and say whether no time told anything."""
    configure(logging.ERROR)
    kept = load(given.results)
    results = kept["added"]
    results["machines"].append(facts(Path(tempfile.gettempdir())))

    def save() -> None:
        for one in results["found"].values():
            t, pair = greatest_t(one)
            one |= {"greatest_t": round(t, 2), "of": pair, "sees_ms": round(sees_ms(one), 3)}
        given.results.write_text(json.dumps(kept, indent=1) + "\n")

    deadline = time.monotonic() + 60 * given.minutes
    asyncio.run(go_on(results, given.rounds, given.until, deadline, save))
    told = [question for question, one in results["found"].items() if greatest_t(one)[0] >= MOST]
    print(json.dumps({"rounds": results["rounds"], "told": told}))
    return 1 if told else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=COMMAND)
    arguments.add_argument("--rounds", type=int, default=400, help="to be added, in hundreds")
    arguments.add_argument("--until", type=int, default=ENOUGH, help="rounds in all, with those recorded")
    arguments.add_argument("--minutes", type=float, default=math.inf, help="no new hundred after so long")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    sys.exit(main(arguments.parse_args()))
