"""A union whose people may sign in by a provider of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.access.fake_provider import Connected, connect, serving
from tests.support.world import World


@pytest.fixture
async def own(world: World) -> AsyncIterator[Connected]:
    """A fake provider over real HTTP, connected to the union."""
    async with serving() as provider:
        yield await connect(world, provider)
