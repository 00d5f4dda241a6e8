"""The application of a world, served over real HTTP on one port, to be stopped and started again. Holds no tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from tests.support.world import World

START_SECONDS = 60


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave Ctrl-C to pytest."""
        yield


@asynccontextmanager
async def served(world: World, port: int) -> AsyncIterator[None]:
    """Serve while the block lasts. Nobody works behind the doors unless the test says so."""
    config = uvicorn.Config(world.app, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off")
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:  # noqa: ASYNC110 - uvicorn tells of its start by this flag only
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task
