"""A packet of many exhibits: how long it takes to build, and what memory; each in a process of its own, over SQLite.

`./run bench packet` fills a database with 1,000 alerts and one with 10,000 (25 about each member, in deliveries of 100), builds
the packet of each, and has its own verifier check the larger. The last line is JSON: for each size `seconds`, `exhibits_per_s`
and `peak_mb` of the building process, and `memory`: how many times as much the larger took. `--sizes 1000 3000` does less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import pickle
import resource
import shutil
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from app.breaches.service import recompute_and_tell
from app.evidence.building import build
from app.evidence.exhibits import Variant
from app.evidence.ordering import Order
from app.kit.migrate import upgrade
from app.members import service as members
from app.members.roster import EnrollmentEntry, Job, RosterEntry
from benchmarks.support.child import Child
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder
from tests.evidence.matters import in_the_log, matter_of
from tests.support.world import World, alert, fill, make_world

EACH, AT_ONCE = 25, 100
KINDS = ("new_account.credit_card", "inquiry.hard", "file_change.address")


async def filled(folder: Path, exhibits: int) -> None:
    """Make a database with so many alerts, all of them in the log."""
    url = f"sqlite+aiosqlite:///{folder / 'harmline.sqlite'}"
    known = await fill(url)
    (folder / "known").write_bytes(pickle.dumps(known))
    async with make_world(url, known) as world:
        await _enrol(world, exhibits // EACH)
        numbers = range(exhibits)
        for start in range(0, exhibits, AT_ONCE):
            batch = [_alert(number) for number in numbers[start : start + AT_ONCE]]
            answer = await world.deliver({"alerts": batch})
            assert answer.status_code == 202, answer.text
        await in_the_log(world)


async def _enrol(world: World, people: int) -> None:
    context, union = world.context, world.union
    roster = [RosterEntry(n + 2, f"B-{n}", f"Member {n} Invented", None, {Job(date(2012, 1, 1), None)}) for n in range(people)]
    entries = [EnrollmentEntry(one.line, one.external_id, f"ref-{one.external_id}", True, None, None) for one in roster]
    async with context.database.begin() as tx:
        await members.import_roster(tx, context.keyring, union.id, roster, ())
        await members.import_enrollments(tx, context.keyring, union.id, union.connection.connection.id, entries, ())
        found = [await members.find_member(tx, context.keyring, union.id, one.external_id) for one in roster]
        await recompute_and_tell(tx, union.id, [one.id for one in found if one is not None])


def _alert(number: int) -> dict[str, Any]:
    member, turn = number // EACH, number % EACH
    told = {"id": f"x-{number}", "member": f"ref-B-{member}", "type": KINDS[turn % len(KINDS)]}
    return alert(**told, institution=f"Invented Bank {turn}", last_four=f"{number % 10_000:04d}")


async def built(folder: Path) -> dict[str, Any]:
    """Build its packet: how long, how much memory."""
    known = pickle.loads((folder / "known").read_bytes())
    async with make_world(f"sqlite+aiosqlite:///{folder / 'harmline.sqlite'}", known) as world:
        order = Order(await matter_of(world), Variant.SEALED, "OPOA")
        begun = time.perf_counter()
        made = await build(world.context, order, folder / "packet")
        took = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"exhibits": made.exhibits, "seconds": round(took, 1), "peak_mb": round(peak, 1)}


def _part(name: str, folder: Path, exhibits: int) -> dict[str, Any]:
    child = Child("benchmarks.packet", "--part", name, str(folder), str(exhibits), log=folder / "log")
    try:
        found: dict[str, Any] = child.hear()
        return found
    finally:
        child.process.wait()


def measured(folder: Path, exhibits: int) -> dict[str, Any]:
    """Fill and build, each in its own process."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    upgrade(f"sqlite+aiosqlite:///{folder / 'harmline.sqlite'}")
    filling = _part("fill", folder, exhibits)
    found = _part("build", folder, exhibits)
    print(
        f"{exhibits} alerts: filled in {filling['seconds']} s, built in {found['seconds']} s, {found['peak_mb']} MB", flush=True
    )
    return found | {"exhibits_per_s": round(found["exhibits"] / found["seconds"], 1)}


def verified(folder: Path) -> bool:
    """Whether the packet's own verifier proves it."""
    command = [sys.executable, "-I", "-S", str(folder / "packet/verify.py"), str(folder / "packet"), "--json"]
    report = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(json.loads(report.stdout)["proven"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs=2, default=(1_000, 10_000))
    parser.add_argument("--part", nargs=3)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if asked.part:
        name, folder, exhibits = asked.part
        begun = time.perf_counter()
        if name == "fill":
            asyncio.run(filled(Path(folder), int(exhibits)))
            print(json.dumps({"seconds": round(time.perf_counter() - begun, 1)}), flush=True)
        else:
            print(json.dumps(asyncio.run(built(Path(folder)))), flush=True)
        return
    home = bench_folder() / "packet"
    print(json.dumps(facts(bench_folder())), flush=True)
    small, large = (measured(home / str(size), size) for size in asked.sizes)
    proven = verified(home / str(asked.sizes[1]))
    shutil.rmtree(home)
    memory = round(large["peak_mb"] / small["peak_mb"], 2)
    print(json.dumps({"small": small, "large": large, "memory": memory, "proven": proven}))


if __name__ == "__main__":
    main()
