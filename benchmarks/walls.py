"""What the second wall costs: the same requests with and without it, one after the other, in one run. See docs/benchmarks.md.

`./run bench walls` fills a PostgreSQL that flushes (var/bench) with a crowd of members and asks, in process and in turns, one
request with the wall and one without: a member's timeline, one incident, a delivery. So whatever else the machine does meanwhile
meets both alike. "Without" is the owner's login, which row-level security does not bind, and transactions that take on no role.
It tells the medians and their ratio; the last line is JSON.
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
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from uuid import uuid4

import httpx
import structlog
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session, SessionTransaction

from app.access.roles import Role
from app.kit import database
from app.kit.acting import Acting
from app.kit.migrate import upgrade
from benchmarks.support.machine import facts
from benchmarks.support.postgres import bench_folder, durable_postgres
from tests.support.crowd import crowd
from tests.support.world import World, alert, fill, make_world

INCIDENTS = 20
WITH, WITHOUT = "with", "without"
Ask = Callable[[], Awaitable[None]]


@contextmanager
def free_of_roles(owner: Any) -> Iterator[None]:
    """Transactions over one engine take on no role while this is open."""
    usual = (database._ActingSession, "after_begin", database._take_on)  # noqa: SLF001 - what is measured is its cost

    def take_on(session: Session, begun: SessionTransaction, connection: Connection) -> None:
        if connection.engine.pool is not owner.pool:
            usual[2](session, begun, connection)

    event.remove(*usual)
    event.listen(usual[0], usual[1], take_on)
    try:
        yield
    finally:
        event.remove(usual[0], usual[1], take_on)
        event.listen(*usual)


def asks(world: World, browser: httpx.AsyncClient, incident: str) -> dict[str, Ask]:
    """What is measured, in one of the worlds."""

    async def look(path: str) -> None:
        if (await browser.get(path)).status_code != 200:
            raise RuntimeError(path)

    async def deliver() -> None:
        if (await world.deliver(alert(id=uuid4().hex, member="ref-nobody"))).status_code != 202:
            raise RuntimeError("a delivery was refused")

    return {"timeline": lambda: look("/v1/me/timeline"), "incident": lambda: look(f"/v1/incidents/{incident}"), "intake": deliver}


async def in_turns(both: dict[str, Ask], times: int) -> dict[str, float]:
    """The median of the milliseconds that each of two takes, asked in turns, in either order."""
    took: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    for number in range(times):
        for which in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
            began = time.perf_counter()
            await both[which]()
            took[which].append((time.perf_counter() - began) * 1000)
    return {which: round(statistics.median(each[times // 10 :]), 2) for which, each in took.items()}


async def measured(url: str, times: int, members: int) -> dict[str, dict[str, float]]:
    """The medians of each request, in milliseconds, and with over without: 1.0 is no cost."""
    known = await fill(url)
    async with make_world(url, known) as world:
        for number in range(INCIDENTS):
            await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
        incident = (await world.timeline())[0]["id"]
        await crowd(url, world.union.id, world.union.connection.connection.id, members, 10)
    async with AsyncExitStack() as stack:
        bound = await stack.enter_async_context(make_world(url, known))
        unbound = await stack.enter_async_context(make_world(url, known, as_owner))
        stack.enter_context(free_of_roles(unbound.context.database.engine))
        store = unbound.context.database.at_once
        if store is None:
            raise RuntimeError("this is about PostgreSQL")
        del store._options["server_settings"]["role"]  # noqa: SLF001 - as above
        store._acting = Acting("postgres")  # noqa: SLF001 - as above
        each = {}
        for which, world in ((WITH, bound), (WITHOUT, unbound)):
            browser = await stack.enter_async_context(await world.sign_in(Role.MEMBER))
            each[which] = asks(world, browser, incident)
        found = {}
        for name in each[WITH]:
            medians = await in_turns({which: each[which][name] for which in each}, times)
            found[name] = {**medians, "ratio": round(medians[WITH] / medians[WITHOUT], 3)}
    return found


async def as_owner(owner_url: str) -> str:
    """The service's login, where it is to be the owner's."""
    return owner_url


def main(given: argparse.Namespace) -> int:
    """Measure once and say what was found."""
    folder = bench_folder() / "walls"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with durable_postgres(folder / "postgres") as server:
        url = asyncio.run(server.create_database("walls"))
        upgrade(url)
        found = asyncio.run(measured(url, given.times, given.members))
    for name, medians in found.items():
        print(f"{name}: {medians[WITH]} ms with, {medians[WITHOUT]} ms without: {medians['ratio']}")
    print(json.dumps({"machine": facts(folder), "members": given.members, "times": given.times, **found}))
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Timelines and deliveries with and without row-level security.")
    arguments.add_argument("--times", type=int, default=400, help="how often each is asked")
    arguments.add_argument("--members", type=int, default=2000, help="how many others there are")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.exit(main(arguments.parse_args()))
