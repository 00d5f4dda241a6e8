"""Ten minutes (or hours) at 200 deliveries a second, one in a hundred faulty: memory stays flat, nothing leaks or is lost.

`./run campaign soak [--minutes 10] [--hours 1]` runs web and workers over a fresh PostgreSQL (or SQLite) that flushes every
commit, adds what it found to docs/campaigns/soak.json, and ends with 1 when a rule was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.running import MOST_GROWTH, REST_SECONDS, Running, books, growth, record, running, settle

RESULTS = Path(__file__).parents[2] / "docs" / "campaigns" / "soak.json"
COMMAND = "./run campaign soak"
RATE = 200.0
FAULTS = 0.01
WARM_SECONDS = 120.0
SHORTEST_TO_JUDGE = 300.0
"""Seconds: of a shorter run memory is told, not judged."""
ALERTS_EACH = 25
"""How many a member has at the end: what one alert costs grows with how many the member has already."""
SETTLE_SECONDS = 600.0
FILES_ALLOWED = 5
"""By how many open files a process may differ, once nobody sends any more, from what it had before."""
CONNECTIONS_ALLOWED = 0.15
"""By what share the database's connections may be more at the end than after the warm-up; one may be opened late."""


def sent(run: Running, given: argparse.Namespace, seconds: float) -> tuple[dict[str, Any], Path]:
    """Let the sender send; what it saw, and its book."""
    union, book = run.filled.union, run.filled.folder / "book"
    sender = Child("benchmarks.support.rough", log=run.filled.folder / "sender.log")
    try:
        sender.hear()
        job = {"port": run.web.port, "path": union.path, "secret": union.secret, "members": union.members}
        job |= {"run": f"soak-{given.seed}", "rate": given.rate, "seconds": seconds, "faults": FAULTS, "book": str(book)}
        sender.tell(job)
        with run.watched():
            return sender.hear(), book
    finally:
        sender.stop()


def broken(found: dict[str, Any], seconds: float) -> list[str]:
    """The rules that were broken, in words."""
    seen, held, accounts = found["sender"], found["books"], found["books"]["accounts"]
    cut = seen["done"].get("cut_off", 0) + seen["done"].get("cut_short", 0)
    rules = {
        "an answer was not as it must be": not seen["amiss"],
        "a request was never answered": not seen["unanswered"],
        "an acknowledged body is not stored": not held["lost"],
        "two bodies have one receipt": not held["one_receipt_for_two_bodies"],
        "a body is stored twice": not held["stored_twice"],
        "something is stored that nobody sent": held["stored_without_an_answer_read"] <= cut,
        "deliveries do not add up": accounts["deliveries"]
        == accounts["receipts"] + accounts["repeats"] + sum(accounts["refused"].values()),
        "forged deliveries are not counted": accounts["refused"].get("not_authentic", 0) == seen["done"].get("forged", 0),
        "repeats are not counted": accounts["repeats"] >= seen["done"].get("repeat", 0),
        "a receipt waits": not accounts["waiting"],
        "receipts do not add up": accounts["receipts"] == held["stored"] == accounts["events"] + accounts["unsplittable"],
        "events do not add up": accounts["events"] == sum(accounts[name] for name in EVENTS),
        "a connection of the database stays in a transaction": not found["at_rest"].get("db_stuck_in_transaction"),
    }
    for name in ("web", "worker"):
        before, after = found["before"].get(f"{name}_files"), found["at_rest"].get(f"{name}_files")
        if before is not None and after is not None:
            pool = found["at_rest"].get("db_connections", 40)
            rules[f"{name} keeps files open"] = after <= before + pool + FILES_ALLOWED
        grown = found["growth"].get(name)
        if grown is not None and seconds >= SHORTEST_TO_JUDGE:
            rules[f"{name} grows"] = grown <= MOST_GROWTH
    opened = found["growth"].get("db_connections")
    if opened is not None and seconds >= SHORTEST_TO_JUDGE:
        rules["connections of the database are left open"] = opened <= CONNECTIONS_ALLOWED
    return [rule for rule, kept in rules.items() if not kept]


EVENTS = ("new", "sightings", "revisions", "non_alerts", "breach_records", "handed_on", "quarantined")


def main(given: argparse.Namespace) -> int:
    """Run once, record, and say whether every rule held."""
    seconds = (given.hours * 60 if given.hours else given.minutes) * 60
    members = max(50, int(given.rate * seconds / ALERTS_EACH))
    with running(given.database, members) as run:
        machine = facts(run.filled.folder)
        run.sample(0.0)
        before = run.samples.pop()
        seen, book = sent(run, given, seconds)
        settled = asyncio.run(settle(run.filled, SETTLE_SECONDS))
        time.sleep(REST_SECONDS)
        run.sample(seconds)
        at_rest = run.samples.pop()
        warm = min(WARM_SECONDS, seconds / 5)
        found: dict[str, Any] = {
            "machine": machine,
            "database": given.database,
            "seed": given.seed,
            "minutes": round(seconds / 60, 2),
            "rate": given.rate,
            "faults": FAULTS,
            "members": members,
            "sender": seen,
            "books": asyncio.run(books(run.filled, [book])),
            "settled_after_s": settled,
            "before": before,
            "at_rest": at_rest,
            "growth": {
                **{name: growth(run.samples, f"{name}_rss_mb", warm) for name in run.processes()},
                "db_connections": growth(run.samples, "db_connections", warm),
            },
            "samples": run.samples[:: max(1, len(run.samples) // 60)],
        }
    found["broken"] = broken(found, seconds)
    record(given.results, COMMAND, found)
    told = {name: found[name] for name in ("database", "seed", "minutes", "sender", "books", "growth", "at_rest", "broken")}
    print(json.dumps(told, indent=1))
    print("\n".join(found["broken"]) or "Every rule held.")
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description="A long run at an even pace with some faults: nothing grows, nothing is lost."
    )
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--hours", type=float)
    arguments.add_argument("--rate", type=float, default=RATE, help="deliveries a second")
    arguments.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments.add_argument("--results", type=Path, default=RESULTS)
    sys.exit(main(arguments.parse_args()))
