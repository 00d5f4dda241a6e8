"""Ten times the load that Harmline can take, for minutes: it says so at once, by 503 and when to come again, and loses nothing.

`./run campaign overload [--minutes 5]` puts a slow line before PostgreSQL. As many senders as are all taken in show what one web
process takes over it, and two cores can send ten times as much. Then two thousand send again the moment they are answered,
heeding no Retry-After; the rate limits are set aside, so that only the way in itself can say no. `--store-delay 0` has no slow
line: then the senders take from the service the cores that it needs, and it takes less than in calm.
What it found is added to docs/campaigns/overload.json; it ends with 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.running import REST_SECONDS, Running, books, record, running
from tests.support.proxy import Weather

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "overload.json"
COMMAND = "./run campaign overload"
MEMBERS = 20
PEOPLE = 50_000
"""Whom the alerts are about; only the first few are members. The rest waits unmatched, as after a provider's mistake."""
SENDERS = 2
STORE_DELAY = 0.1
"""Seconds that everything is under way between the web process and PostgreSQL, each way."""
CALM_CONNECTIONS = {True: 250, False: 64}
"""By whether the line is slow: over a slow one a process takes the more the more send, up to the 256 that it works on at once."""
CALM_SECONDS = 5.0
TIMES = 10.0
SLOWEST_ACCEPTED = 2.0
"""Seconds: what p99 of what is accepted must stay under."""


def flood(run: Running, name: str, connections: int, seconds: float, senders: int) -> tuple[list[dict[str, Any]], list[Path]]:
    """Let some processes send at once, each over its share of the connections; what they saw, and their books."""
    union, folder = run.filled.union, run.filled.folder
    books_of = [folder / f"{name}-{number}.book" for number in range(senders)]
    with ExitStack() as stack:
        children = []
        for _ in range(senders):
            child = Child("benchmarks.support.flood", log=folder / "flood.log")
            stack.callback(child.stop)
            child.hear()
            children.append(child)
        for number, child in enumerate(children):
            job = {"port": run.web.port, "path": union.path, "secret": union.secret, "members": PEOPLE}
            job |= {"run": f"{name}-{number}", "connections": connections // senders, "seconds": seconds}
            child.tell({**job, "book": str(books_of[number])})
        with run.watched():
            return [child.hear() for child in children], books_of


def summed(found: list[dict[str, Any]]) -> dict[str, Any]:
    """What several senders saw, together: counts added, the worst of their times."""
    total: dict[str, Any] = {"statuses": {}, "amiss": {}}
    for one in found:
        for name in ("statuses", "amiss"):
            for key, count in one[name].items():
                total[name][key] = total[name].get(key, 0) + count
        for name in ("answers", "acknowledged"):
            total[name] = total.get(name, 0) + one[name]
        for name in ("seconds", *(key for key in one if key.endswith("_s"))):
            total[name] = max(total.get(name) or 0, one[name] or 0)
    total["answers_per_s"] = round(total["answers"] / total["seconds"], 1)
    total["accepted_per_s"] = round(total["acknowledged"] / total["seconds"], 1)
    return total


def broken(found: dict[str, Any], slowest: float, times: float) -> list[str]:
    """The rules that were broken, in words."""
    flooded, held, after = found["flood"], found["books"], found["calm_after"]
    offered = found["offered_over_calm"]
    rules = {
        "an answer was not as it must be, or did not come": not flooded["amiss"],
        f"only {offered} times what it takes in calm was offered": offered >= times,
        "nothing was accepted any more": flooded["acknowledged"] > 0,
        "what was accepted took too long": (flooded["accepted_p99_s"] or 0) < slowest,
        "something acknowledged is not stored": not held["lost"],
        "a body is stored twice": not held["stored_twice"] and not held["one_receipt_for_two_bodies"],
        "it is not as before when the flood is over": not after["amiss"] and after["statuses"].keys() == {"202"},
    }
    return [rule for rule, kept in rules.items() if not kept]


def main(given: argparse.Namespace) -> int:
    """Run once, record, and say whether every rule held."""
    seconds, name = given.minutes * 60, f"flood-{given.seed}"
    with running(given.database, MEMBERS, line_delay=given.store_delay) as run:
        machine = facts(run.filled.folder)
        if run.line is not None:
            run.line.become(Weather.SLOW)
        calm_connections = CALM_CONNECTIONS[given.store_delay > 0]
        _, opening = flood(run, f"opening-{given.seed}", calm_connections, CALM_SECONDS, 1)  # a new connection asks much
        calm, first = flood(run, f"calm-{given.seed}", calm_connections, CALM_SECONDS, 1)
        flooded, written = flood(run, name, given.connections, seconds, SENDERS)
        time.sleep(REST_SECONDS)
        after, last = flood(run, f"after-{given.seed}", 8, 2.0, 1)
        found: dict[str, Any] = {
            "machine": machine,
            "database": given.database,
            "seed": given.seed,
            "minutes": given.minutes,
            "connections": given.connections,
            "store_delay_s": given.store_delay,
            "calm": summed(calm),
            "flood": summed(flooded),
            "calm_after": summed(after),
            "books": asyncio.run(books(run.filled, [*opening, *first, *written, *last])),
            "samples": run.samples[:: max(1, len(run.samples) // 30)],
        }
    offered = found["flood"]["answers_per_s"]
    for beside, taken in (("accepted", found["flood"]["accepted_per_s"]), ("calm", found["calm"]["accepted_per_s"])):
        found[f"offered_over_{beside}"] = round(offered / taken, 1) if taken else 0.0
    found["broken"] = broken(found, given.slowest, given.times if given.store_delay else 0)
    record(given.results, COMMAND, found)
    print(json.dumps({key: value for key, value in found.items() if key not in {"samples", "machine"}}, indent=1))
    print("\n".join(found["broken"]) or "Every rule held.")
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="More load than it can take: refused at once, nothing hangs, nothing lost.")
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--connections", type=int, default=2_000)
    arguments.add_argument("--slowest", type=float, default=SLOWEST_ACCEPTED, help="p99 of what is accepted, in seconds")
    arguments.add_argument(
        "--times", type=float, default=TIMES, help="over a slow line: the least that is offered, in what it takes"
    )
    arguments.add_argument("--store-delay", type=float, help=f"seconds to PostgreSQL, and back: {STORE_DELAY}; 0: none")
    arguments.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments.add_argument("--results", type=Path, default=RESULTS)
    told = arguments.parse_args()
    if told.store_delay is None:
        told.store_delay = STORE_DELAY if told.database == "postgresql" else 0.0
    if told.database == "sqlite" and told.store_delay:
        arguments.error("--store-delay: SQLite lies in the process, there is no line to be slow")
    sys.exit(main(told))
