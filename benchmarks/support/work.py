"""The real workers in a process of their own: each line of standard input lets them work until nothing waits."""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from app.kit.config import settings
from app.kit.context import open_context
from app.kit.logging import configure
from app.kit.rings import collect_seldom
from app.main import Workers
from benchmarks.support.child import say


async def main() -> None:
    """Work whenever told to; say how long it took."""
    configure()
    context = open_context(settings())
    workers = Workers(context)
    collect_seldom()
    say({"ready": True})
    while await asyncio.to_thread(sys.stdin.readline):
        begun = time.perf_counter()
        await workers.tick()
        while not await workers.is_idle():  # another process has what is left, and may leave more
            await asyncio.sleep(0.005)
            await workers.tick()
        say({"seconds": time.perf_counter() - begun})
    await context.database.close()


if __name__ == "__main__":
    uvloop.run(main())
