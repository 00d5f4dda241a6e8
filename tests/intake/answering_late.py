"""A provider that is asked about everybody and has not answered yet: for what may happen meanwhile. Holds no tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request
from starlette.responses import Response

from app.kit import clock
from connectors.hibp.sandbox import HibpSandbox
from connectors.registry import registry
from connectors.sandboxing import Happening
from connectors.vocabulary import AlertKind
from tests.connectors.stage import PEOPLE, Stage, no_waiting, staged
from tests.support.world import World


@asynccontextmanager
async def asked_and_silent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Stage, Callable[[], Awaitable[None]]]]:
    """The stage, and what lets the provider answer and waits until that is worked in."""
    no_waiting(monkeypatch)
    real, gate, arrived = HibpSandbox._account, asyncio.Event(), asyncio.Event()

    async def held(self: HibpSandbox, request: Request) -> Response:
        arrived.set()
        await gate.wait()
        return await real(self, request)

    monkeypatch.setattr(HibpSandbox, "_account", held)
    async with staged(world, registry()["hibp"]) as stage:
        for who in PEOPLE:
            stage.sandbox.tell(Happening(who, AlertKind.EXPOSURE_SSN, clock.now(), "Inv A"))
        asking = asyncio.create_task(world.workers.asker.run_due())
        await arrived.wait()

        async def answers() -> None:
            gate.set()
            await asking

        yield stage, answers
