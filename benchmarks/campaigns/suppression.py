"""Many more invented populations against the rules of the statistics: the code of `tests/statistics`, with bigger numbers.

`./run campaign suppression [--worlds 2000]` goes on after the last seed in docs/campaigns/suppression.json and adds its results
there, every 50 worlds, so that it can be stopped at any time. At the first world that breaks a rule it stops and names the seed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

from app.statistics.build import build_release
from app.statistics.cubes import FAMILIES
from benchmarks.support.results import save
from connectors.vocabulary import AlertKind
from tests.statistics.exact import PeopleJudge
from tests.statistics.synthetic import moment, population
from tests.statistics.test_release_attacks import check_plain_rules, small_world

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "suppression.json"
SAVE_EVERY = 50
EMPTY = {
    "command": "./run campaign suppression",
    "next_seed": 0,
    "releases": 0,
    "judged_exactly": 0,
    "narrowest": None,
    "broken": [],
}


def large_world(seed: int) -> None:
    """One population of up to 2,000 members; every plain rule must hold in its release."""
    dice = random.Random(seed)
    roster = dice.choice([5, 12, 25, 60, 150, 714, 2000])
    rows = population(
        seed,
        hit=max(1, int(roster * dice.uniform(0.02, 1.0))),
        months=(months := dice.randint(1, 24)),
        kinds=list(AlertKind)[: dice.randint(1, len(AlertKind))],
        extra=dice.choice([0.0, 0.3, 1.5, 4.0]),
        skew=dice.choice([0.3, 1.2, 2.5]),
        heaviest=500,
    )
    check_plain_rules(build_release(rows, population=roster, as_of=moment(months), since=moment(0)))


def exact_world(seed: int) -> float | None:
    """One small population, judged over every way in which members could fit the release; the narrowest range, if judged."""
    rows, roster, months = small_world(seed)
    edition = build_release(rows, population=roster, as_of=moment(months), since=moment(0))
    widths = [PeopleJudge([edition], FAMILIES, one_place).narrowest() for one_place in (False, True)]
    judged = [width for width in widths if width is not None]
    assert all(width > 10 for width in judged)
    return min(judged, default=None)


def one_seed(seed: int, results: dict[str, Any]) -> None:
    """Both worlds of one seed; what they found is added to `results`."""
    large_world(seed)
    narrowest = exact_world(seed)
    results["releases"] += 2
    if narrowest is not None:
        results["judged_exactly"] += 1
        if narrowest != float("inf"):
            results["narrowest"] = min(narrowest, results["narrowest"] or narrowest)


def main(worlds: int) -> int:
    """Go on for so many seeds; the exit code says whether every rule held."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else dict(EMPTY)
    first = results["next_seed"]
    for seed in range(first, first + worlds):
        try:
            one_seed(seed, results)
        except AssertionError:
            results["broken"].append(seed)
            save(results, RESULTS)
            print(f"\nseed {seed} breaks a rule")
            return 1
        results["next_seed"] = seed + 1
        if (seed + 1) % SAVE_EVERY == 0 or seed + 1 == first + worlds:
            save(results, RESULTS)
            print(f"\r{seed + 1 - first} of {worlds} seeds, none breaks a rule", end="", flush=True)
    print()
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--worlds", type=int, default=2000)
    sys.exit(main(arguments.parse_args().worlds))
