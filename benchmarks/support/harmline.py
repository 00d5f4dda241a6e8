"""The real application as a measured server; without its workers (BENCH_WORK is not set) where only receiving is measured.

BENCH_LEDGER: the log follows the ledger in this process, so often (seconds), and what it wrote is read again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from app import main
from app.kit.config import settings


def create_app() -> FastAPI:
    """The application; its settings come from the environment, as always."""
    app = main.create_app(settings(), work="BENCH_WORK" in os.environ)
    if every := os.environ.get("BENCH_LEDGER"):
        app.router.lifespan_context = _with_log(app, float(every))
    return app


def _with_log(app: FastAPI, every: float) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    plain = app.router.lifespan_context

    async def follow() -> None:
        while True:
            await asyncio.sleep(every)
            await app.state.workers.log()

    @asynccontextmanager
    async def lifespan(within: FastAPI) -> AsyncIterator[None]:
        async with plain(within):
            following = asyncio.create_task(follow())
            try:
                yield
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    return lifespan
