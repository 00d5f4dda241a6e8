"""A browser before a served world."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest
from pydantic import HttpUrl

from tests.support.world import World
from tests.web.browsing import Site, site


@pytest.fixture
async def addressed(world: World, chromium: str) -> AsyncIterator[Site]:
    """A world that knows under which address the browser finds it: passkeys are bound to that, and providers lead back to it."""
    async with site(world, chromium) as opened:
        settings = world.context.settings.model_copy(update={"base_url": HttpUrl(opened.address)})
        world.app.state.context = dataclasses.replace(world.context, settings=settings)
        yield opened
