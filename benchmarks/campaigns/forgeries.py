"""A flood of forged deliveries on a known address: they are refused, and what is authentic goes on as before.

`./run campaign forgeries [--minutes 1]` lets one sender keep an even pace over a fresh PostgreSQL (or SQLite), first alone and
then while hundreds of connections from other addresses send bodies with a wrong signature to the same webhook address, again
the moment they are answered. The limits are those of the settings. What it found is added to docs/campaigns/forgeries.json;
it ends with 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.campaigns.overload import summed
from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.running import Running, books, record, running
from connectors.verifiers import StandardWebhooks

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "forgeries.json"
COMMAND = "./run campaign forgeries"
MEMBERS = 20
SENDERS = 2
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 10)]
"""Where the forgeries come from: every address of 127.0.0.0/8 is this machine's own."""
CALM_SECONDS = 10.0
SLOWEST_GOOD = 1.0
"""Seconds: what p99 of the authentic deliveries must stay under."""


def good(run: Running, stack: ExitStack, name: str, rate: float, seconds: float) -> Child:
    """A sender whose every delivery is authentic, at an even pace; it has begun."""
    sender = Child("benchmarks.support.paced", log=run.filled.folder / "paced.log")
    stack.callback(sender.stop)
    sender.hear()
    union = run.filled.union
    job = {"port": run.web.port, "path": union.path, "secret": union.secret, "members": union.members}
    sender.tell({**job, "run": name, "rate": rate, "seconds": seconds})
    return sender


def forgers(run: Running, stack: ExitStack, given: argparse.Namespace) -> list[Child]:
    """Senders that have the address and not the secret; they have begun."""
    children = []
    for number in range(SENDERS):
        child = Child("benchmarks.support.flood", log=run.filled.folder / "forgers.log")
        stack.callback(child.stop)
        child.hear()
        job = {"port": run.web.port, "path": run.filled.union.path, "secret": StandardWebhooks.new_secret(), "members": MEMBERS}
        job |= {"run": f"forged-{given.seed}-{number}", "connections": given.connections // SENDERS}
        job |= {"seconds": given.minutes * 60, "book": str(run.filled.folder / f"forged-{number}.book")}
        child.tell({**job, "addresses": ADDRESSES, "also": [401]})
        children.append(child)
    return children


def broken(found: dict[str, Any], slowest: float) -> list[str]:
    """The rules that were broken, in words."""
    calm, during, forged, held = (found[name] for name in ("calm", "good", "forged", "books"))
    refused = held["accounts"]["refused"]
    rules = {
        "a forgery was taken": not forged["acknowledged"],
        "a forgery was answered in another way, or not at all": not forged["amiss"],
        "an authentic delivery was refused or not answered": not (during["refused"] or during["unanswered"]),
        "authentic deliveries had to wait": (during["answer_p99_s"] or 0) < slowest,
        "something else is stored than what was authentic": held["stored"] == calm["acknowledged"] + during["acknowledged"],
        "forgeries are not counted": refused.get("not_authentic", 0) == forged["statuses"].get("401", 0),
        "who was told to wait is not counted": refused.get("too_fast", 0) == forged["statuses"].get("429", 0),
    }
    return [rule for rule, kept in rules.items() if not kept]


def main(given: argparse.Namespace) -> int:
    """Run once, record, and say whether every rule held."""
    with running(given.database, MEMBERS) as run, ExitStack() as stack:
        found: dict[str, Any] = {
            "machine": facts(run.filled.folder),
            "database": given.database,
            "seed": given.seed,
            "minutes": given.minutes,
            "connections": given.connections,
            "rate": given.rate,
            "calm": good(run, stack, f"calm-{given.seed}", given.rate, CALM_SECONDS).hear(),
        }
        flood = forgers(run, stack, given)
        found["good"] = good(run, stack, f"good-{given.seed}", given.rate, given.minutes * 60).hear()
        found["forged"] = summed([child.hear() for child in flood])
        run.web.stop()  # what was refused is written once a second, the last of it now
        found["books"] = asyncio.run(books(run.filled, []))
    found["broken"] = broken(found, given.slowest)
    record(given.results, COMMAND, found)
    print(json.dumps({key: value for key, value in found.items() if key != "machine"}, indent=1))
    print("\n".join(found["broken"]) or "Every rule held.")
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Forgeries by the thousand: refused, and authentic deliveries do not wait.")
    arguments.add_argument("--minutes", type=float, default=1)
    arguments.add_argument("--connections", type=int, default=300, help="of the forgers")
    arguments.add_argument("--rate", type=float, default=100, help="authentic deliveries a second")
    arguments.add_argument("--slowest", type=float, default=SLOWEST_GOOD, help="p99 of the authentic ones, in seconds")
    arguments.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments.add_argument("--results", type=Path, default=RESULTS)
    sys.exit(main(arguments.parse_args()))
