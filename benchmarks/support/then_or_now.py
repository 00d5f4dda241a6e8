"""One of two versions of the service at work: run by its path in the folder of either, so it uses only what both have.

It fills the database that it is given, and then takes orders: how often to do what. It answers with the seconds that each took.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import structlog

from app.access.roles import Role
from app.kit.migrate import upgrade
from tests.support.world import World, alert, fill, make_world

INCIDENTS, OTHERS = 20, 200
AT_ONCE = 64
Do = Callable[[], Awaitable[None]]


def acts_of(world: World, browser: httpx.AsyncClient, incident: str) -> dict[str, Do]:
    """What can be ordered."""

    async def deliver() -> None:
        status = (await world.deliver(alert(id=uuid4().hex, member="ref-nobody"))).status_code
        if status != 202:
            raise RuntimeError(f"a delivery was answered {status}")

    async def deliver_many() -> None:
        await asyncio.gather(*(deliver() for _ in range(AT_ONCE)))

    async def look(path: str) -> None:
        status = (await browser.get(path)).status_code
        if status != 200:
            raise RuntimeError(f"{path} was answered {status}")

    return {
        "timeline": lambda: look("/v1/me/timeline"),
        "timeline_page": lambda: look("/timeline"),
        "incident": lambda: look(f"/v1/incidents/{incident}"),
        "intake_alone": deliver,
        "intake_64_at_once": deliver_many,
    }


async def obey(acts: dict[str, Do]) -> None:
    """Do what is ordered until there are no more orders."""
    say(sorted(acts))
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        seconds = []
        for _ in range(order["times"]):
            began = time.perf_counter()
            await acts[order["what"]]()
            seconds.append(time.perf_counter() - began)
        say(seconds)


async def serve(url: str) -> None:
    """Fill the database, then obey."""
    known = await fill(url)
    async with make_world(url, known) as world:
        for number in range(INCIDENTS):
            await world.deliver(alert(id=f"a-{number}", institution=f"Bank {number}"))
        for number in range(OTHERS):
            await world.deliver(alert(id=f"b-{number}", member="ref-M-2", institution=f"Bank {number}"))
        await world.workers.drain()
        incident = (await world.timeline())[0]["id"]
        async with await world.sign_in(Role.MEMBER) as browser:
            await obey(acts_of(world, browser, incident))


def say(said: Any) -> None:
    """One JSON line for who gives the orders."""
    sys.__stdout__.write(json.dumps(said) + "\n")
    sys.__stdout__.flush()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    upgrade(sys.argv[1])
    asyncio.run(serve(sys.argv[1]))
