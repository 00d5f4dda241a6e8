"""From receipt to timeline: how many a second, how late, in how much memory, and the same with a million alerts stored.

`./run bench pipeline` fills a union's database with alerts (kept under var/bench for the next run) and measures on a copy of
it: how fast real workers, a process of their own, bring waiting receipts to their timelines (incident and link written); and,
while a sender keeps half of that pace over HTTP, how long after its 202 an alert can be read there. `--stored 1000000` does
all of it again for a hundred times as many members, with few alerts stored and with so many (PostgreSQL). Every commit is
flushed. The last line is JSON: see docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from app.incidents.models import IncidentAlert, MemberEvent
from app.intake.models import Receipt, ReceiptState
from app.linkage.models import Link
from benchmarks.support.child import Child
from benchmarks.support.filling import Cache, Filled, at_work, cache_name, drained, logged, receive
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres, make_wal_ready
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


def sustained(filled: Filled, workers: Sequence[Child], alerts: int, run: str) -> dict[str, Any]:
    """Let so many receipts wait, then let the workers have them. Raises when one of them is not on a timeline after."""
    before = asyncio.run(_counted(filled))
    received = receive(filled, alerts, run)
    took, memory = drained(workers)
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


Runs = list[dict[str, Any]]


def rates(cache: Cache, databases: Sequence[Filled], given: argparse.Namespace) -> list[Runs]:
    """The sustained rate of each, each on a copy of its own, in turns: a machine that slows down slows down all of them.

    The workers live through all rounds, as a service's do. What a new copy costs (every page is read, and logged whole, for the
    first time) is a round that is not counted. What a round brings stays: `stored` is how many alerts there were before it.
    """
    found: list[Runs] = [[] for _ in databases]
    with ExitStack() as stack:
        copies = [stack.enter_context(cache.working_copy(filled)) for filled in databases]
        workers = [stack.enter_context(at_work(copy, given.workers)) for copy in copies]
        for number in range(given.rounds + 1):
            turn = list(zip(copies, workers, found, strict=True))
            for copy, at_it, runs in turn if number % 2 else reversed(turn):
                stored = copy.union.stored + number * given.alerts
                runs.append({"stored": stored, **sustained(copy, at_it, given.alerts, f"sustained-{number}")})
    for filled, runs in zip(databases, found, strict=True):
        union = filled.union
        print(json.dumps({"members": union.members, "sustained": runs, "not_counted": 1}))
    return [runs[1:] for runs in found]


def measured(cache: Cache, filled: Filled, runs: Runs, given: argparse.Namespace, *, apart: bool) -> dict[str, Any]:
    """The better of several rates, where the machine is noisy; and the lag, on a copy of its own."""
    stored, best = filled.union.stored, max(runs, key=lambda run: float(run["per_s"]))
    with cache.working_copy(filled) as copy:
        asyncio.run(logged(copy))  # what is left to the log is no part of what comes now
        late = lag(copy, given.rate or float(best["per_s"]) / 2, given.seconds, apart=apart, workers=given.workers)
    print(json.dumps({"stored": stored, "members": filled.union.members, "lag": late}))
    return {**best, **late}


def grown(cache: Cache, few: Filled, given: argparse.Namespace) -> dict[str, Any]:
    """The same members before and after: as few alerts stored as at first, and as many as asked for.

    A batch about many members is more work than one about few, whatever is stored; so the members are the same in both.
    """
    blocks = given.stored // given.small
    thin = cache.small(max(1, given.small // blocks), few.union.members)
    databases = cache.large(thin, blocks), cache.large(few, blocks)
    runs = rates(cache, databases, given)
    before, after = (measured(cache, filled, own, given, apart=True) for filled, own in zip(databases, runs, strict=True))
    each = [late["per_s"] / early["per_s"] for early, late in zip(*runs, strict=True)]
    return {"before": before, "grown": after, "at_1e6_vs_1e4": round(statistics.median(each), 3)}


def main(given: argparse.Namespace) -> int:
    """Measure and print; 1 when an alert did not come to its timeline."""
    if given.stored and (given.stored % given.small or given.stored < given.small):
        sys.exit(f"--stored {given.stored}: say a multiple of --small ({given.small})")
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
            if server is not None:
                asyncio.run(make_wal_ready(server))
            cache = Cache(place, server)
            few = cache.small(given.small)
            (runs,) = rates(cache, [few], given)
            last[database] = measured(cache, few, runs, given, apart=server is not None)
            if given.stored and server is not None:
                last[database] |= grown(cache, few, given)
    if given.save:
        given.save.write_text(json.dumps(last, indent=1) + "\n")
    print(json.dumps(last))
    runs = [run for found in last.values() for run in (found, found.get("before", {}), found.get("grown", {}))]
    return 1 if any(run.get("not_seen") for run in runs) else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="From receipt to timeline: rate, lag and memory, small and with a million.")
    arguments.add_argument("--alerts", type=int, default=18_000, help="how many wait for the workers in one round")
    arguments.add_argument("--rounds", type=int, default=2, help="rounds of the sustained rate that count; the best one does")
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
