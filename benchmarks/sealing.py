"""What it costs that the door cannot open what it keeps: deliveries kept by its own keys, and as they were before, in turns.

`./run bench sealing` fills a PostgreSQL that flushes (var/bench) and keeps batches of deliveries in this process: verified,
sealed, written down, committed. Batches are kept in turns: one with the receipts' keys in a slot (decision 0036), one with them
wrapped by the organization's key, as it was before; so whatever else the machine does meets both alike. It tells the processor
time of one delivery, the median of all batches, and the ratio; besides, that of making one ready without any database. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import statistics
import sys
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

import structlog

from app.connections.service import Door, door_of
from app.intake.receive import Arrival, keep_all_at_once, make_ready, verify
from app.kit import clock
from app.kit.migrate import upgrade
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres
from connectors.standard.sandbox import sign
from tests.support.world import World, alert, fill, make_world

BATCH = 30
SLOT, WRAPPED = "slot", "wrapped"


async def doors(world: World) -> dict[str, Door]:
    """The same door twice: as it is, and with the top key's own way of wrapping a receipt's key."""
    name, keyring = str(world.union.connection.connection.id), world.context.keyring
    async with world.context.database.begin(read_only=True) as tx:
        now = await door_of(tx, keyring, name)
        before = await door_of(tx, keyring, name, by_top_key=True)
        opened = await keyring.refreshed(tx, world.union.id)
    if now is None or before is None:
        raise RuntimeError("the connection is gone")
    opened.put_in_slot = opened.wrap  # type: ignore[method-assign] # what is measured is the difference
    return {SLOT: now, WRAPPED: replace(before, keys=opened)}


def deliveries(world: World, number: int) -> list[tuple[bytes, dict[str, str]]]:
    """New deliveries of the usual size, signed."""
    bodies = [json.dumps(alert(id=uuid4().hex, member="ref-nobody")).encode() for _ in range(number)]
    return [(body, sign(world.union.connection.secret, body, at=clock.now())) for body in bodies]


def ready(door: Door, token: str, came: list[tuple[bytes, dict[str, str]]]) -> list[Any]:
    """Verified and sealed, one after the other, as the gateway and the desk do."""
    made = []
    for body, headers in came:
        to = door.addressed(token)
        if to is None:
            raise RuntimeError("a wrong token")
        proof = verify(to, body, headers, "192.0.2.1")
        made.append(make_ready(to.keys, to.origin, Arrival(body, proof, headers=headers), to.origin.revision))
    return made


async def in_turns(world: World, batches: int) -> dict[str, dict[str, float]]:
    """Microseconds of processor time for one delivery, made ready and kept, by how its key is kept."""
    both, token = await doors(world), world.union.connection.path.rpartition("/")[2]
    store = world.context.database.at_once
    if store is None:
        raise RuntimeError("this is about PostgreSQL")
    took: dict[str, dict[str, list[float]]] = {which: {"ready": [], "kept": []} for which in both}
    for number in range(batches):
        for which in (SLOT, WRAPPED) if number % 2 else (WRAPPED, SLOT):
            came = deliveries(world, BATCH)
            began = time.process_time()
            made = ready(both[which], token, came)
            sealed = time.process_time()
            kept = await keep_all_at_once(store, made)
            ended = time.process_time()
            if not all(kept):
                raise RuntimeError("a delivery was not kept")
            took[which]["ready"].append((sealed - began) / BATCH * 1e6)
            took[which]["kept"].append((ended - began) / BATCH * 1e6)
    skipped = batches // 10
    return {
        which: {name: round(statistics.median(each[skipped:]), 1) for name, each in found.items()}
        for which, found in took.items()
    }


async def measured(url: str, batches: int) -> dict[str, Any]:
    """What was found, with the ratios: 1.0 is no cost."""
    async with make_world(url, await fill(url)) as world:
        found: dict[str, Any] = await in_turns(world, batches)
    for name in ("ready", "kept"):
        found[f"ratio_{name}"] = round(found[SLOT][name] / found[WRAPPED][name], 3)
    return found


def main(given: argparse.Namespace) -> int:
    """Measure once and say what was found."""
    folder = bench_folder() / "sealing"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with durable_postgres(folder / "postgres") as server:
        url = asyncio.run(server.create_database("sealing"))
        upgrade(url)
        found = asyncio.run(measured(url, given.batches))
    for name in ("ready", "kept"):
        print(f"{name}: {found[SLOT][name]} µs into a slot, {found[WRAPPED][name]} µs wrapped: {found[f'ratio_{name}']}")
    print(json.dumps({"machine": facts(folder), "batches": given.batches, "of": BATCH, **found}))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Keeping deliveries by the door's keys, and as before.")
    arguments.add_argument("--batches", type=int, default=400, help="how many of each")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main(arguments.parse_args()))
