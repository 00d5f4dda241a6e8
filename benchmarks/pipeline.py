"""From receipt to timeline: how many a second, how late, in how much memory, and the same with a million alerts stored.

`./run bench pipeline` fills a union's database with alerts (kept under var/bench for the next run) and measures on a copy of
it: how fast real workers, a process of their own, bring waiting receipts to their timelines (incident and link written); and,
while a sender keeps half of that pace over HTTP, how long after its 202 an alert can be read there. `--stored 1000000` does
all of it again with so many alerts stored (PostgreSQL). Every commit is flushed. The last line is JSON: see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from app.incidents.models import IncidentAlert, MemberEvent
from app.intake.models import Receipt, ReceiptState
from app.linkage.models import Link
from benchmarks.support.child import Child
from benchmarks.support.filling import Cache, Filled, cache_name, drain, logged, receive
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres
from benchmarks.support.servers import HARMLINE, start

DATABASES = ("postgresql", "sqlite")
SMALL = 10_000
FOLLOWED_A_SECOND = 50
"""Of about so many alerts a second the lag is taken: to look for all of them would load the database more than they do."""


async def _counted(filled: Filled) -> dict[str, int]:
    """What is on the timelines, and what still waits."""
    context = filled.open()
    async with context.database.begin(read_only=True) as tx:
        same = (IncidentAlert.member_id == MemberEvent.member_id) & (IncidentAlert.alert_id == MemberEvent.alert_id)
        linked = select(Link.member_id, Link.incident_id).where(Link.superseded_at.is_(None)).distinct().subquery()
        of_it = (linked.c.member_id == IncidentAlert.member_id) & (linked.c.incident_id == IncidentAlert.incident_id)
        on_timelines = select(func.count()).select_from(MemberEvent).join(IncidentAlert, same).join(linked, of_it)
        waiting = select(func.count()).where(Receipt.state == ReceiptState.STORED)
        found = {name: (await tx.execute(query)).scalar_one() for name, query in (("shown", on_timelines), ("waiting", waiting))}
    await context.database.close()
    return found


def sustained(filled: Filled, alerts: int, workers: int, run: str) -> dict[str, Any]:
    """Let so many receipts wait, then let the workers have them. Raises when one of them is not on a timeline after."""
    before = asyncio.run(_counted(filled))
    received = receive(filled, alerts, run)
    took, memory = drain(filled, workers)
    after = asyncio.run(_counted(filled))
    shown = after["shown"] - before["shown"]
    if shown != alerts or after["waiting"]:
        raise RuntimeError(f"{alerts} alerts were sent, {shown} came to a timeline, {after['waiting']} wait")
    return {
        "per_s": round(alerts / took, 1),
        "received_per_s": round(received, 1),
        "worker_rss_mb": round(memory / 1024**2, 1) if memory else None,
    }


def lag(filled: Filled, rate: float, seconds: float, *, apart: bool, workers: int = 1) -> dict[str, Any]:
    """Send at this pace, and follow alerts until they are on their timelines. `apart`: workers in processes of their own."""
    with ExitStack() as stack:
        working = {**filled.environment, "BENCH_WORK": "yes"}
        worker = start(HARMLINE, filled.folder, working, workers if apart else 1, filled.union.path)
        stack.callback(worker.stop)
        worker.ready()
        web = worker
        if apart:
            web = start(HARMLINE, filled.folder, filled.environment, path=filled.union.path)
            stack.callback(web.stop)
            web.ready()
        sender = Child("benchmarks.support.paced", log=filled.folder / "paced.log")
        stack.callback(sender.stop)
        sender.hear()
        job = {"port": web.port, "path": web.path, "secret": filled.union.secret, "members": filled.union.members}
        follow = {"database_url": filled.url, "every": max(1, round(rate / FOLLOWED_A_SECOND))}
        sender.tell({**job, "run": "lag", "rate": rate, "seconds": seconds, "follow": follow})
        found: dict[str, Any] = sender.hear()
        found |= {"at_per_s": round(rate, 1)}
        for name, target in (("lag_worker_rss_mb", worker), ("web_rss_mb", web)):
            sizes = [size for child in target.children if (size := child.memory()) is not None]
            found[name] = round(max(sizes) / 1024**2, 1) if sizes else None
        return found


def measured(cache: Cache, filled: Filled, given: argparse.Namespace, *, apart: bool) -> dict[str, Any]:
    """Rate and lag, each on a copy of a filled database; the better of several rates where the machine is noisy."""
    stored = filled.union.stored
    with _copied(cache, filled) as copy:
        runs = [sustained(copy, given.alerts, given.workers, f"sustained-{number}") for number in range(given.rounds)]
    best = max(runs, key=lambda run: float(run["per_s"]))
    print(json.dumps({"stored": stored, "members": filled.union.members, "sustained": runs}))
    with _copied(cache, filled) as copy:
        asyncio.run(logged(copy))  # what is left to the log is no part of what comes now
        late = lag(copy, given.rate or float(best["per_s"]) / 2, given.seconds, apart=apart, workers=given.workers)
    print(json.dumps({"stored": stored, "lag": late}))
    return {"stored": stored, **best, **late}


@contextmanager
def _copied(cache: Cache, filled: Filled) -> Iterator[Filled]:
    try:
        yield cache.working_copy(filled)
    finally:
        cache.drop("measured")


def main(given: argparse.Namespace) -> int:
    """Measure and print; 1 when an alert did not come to its timeline."""
    home = bench_folder()
    print(json.dumps(facts(home)))
    last: dict[str, Any] = {}
    for database in given.database or DATABASES[:1]:
        place = home / cache_name(database)
        if given.fresh:
            shutil.rmtree(place, ignore_errors=True)
        place.mkdir(exist_ok=True)
        with ExitStack() as stack:
            server = stack.enter_context(durable_postgres(place / "postgres")) if database == "postgresql" else None
            cache = Cache(place, server)
            found = measured(cache, cache.small(given.small), given, apart=server is not None)
            last[database] = found
            if given.stored and server is not None:
                grown = measured(cache, cache.large(given.stored, given.small), given, apart=True)
                found["grown"] = grown
                found["at_1e6_vs_1e4"] = round(grown["per_s"] / found["per_s"], 3)
    if given.save:
        given.save.write_text(json.dumps(last, indent=1) + "\n")
    print(json.dumps(last))
    missed = [name for name, found in last.items() for run in (found, found.get("grown", {})) if run.get("not_seen")]
    return 1 if missed else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="From receipt to timeline: rate, lag and memory, small and with a million.")
    arguments.add_argument("--alerts", type=int, default=18_000, help="how many wait for the workers in one round")
    arguments.add_argument("--rounds", type=int, default=2, help="rounds of the sustained rate; the best one counts")
    arguments.add_argument("--seconds", type=float, default=30, help="how long the lag is measured")
    arguments.add_argument(
        "--rate", type=float, help="at how many a second the lag is measured; half of the best rate if not said"
    )
    arguments.add_argument("--workers", type=int, default=1, help="worker processes")
    arguments.add_argument("--small", type=int, default=SMALL, help="alerts stored at first")
    arguments.add_argument("--stored", type=int, help="and then with so many alerts, a multiple of --small")
    arguments.add_argument("--database", action="append", choices=DATABASES, help="PostgreSQL if not said")
    arguments.add_argument("--fresh", action="store_true", help="fill anew")
    arguments.add_argument("--save", type=Path, help="write the numbers to this JSON file")
    sys.exit(main(arguments.parse_args()))
