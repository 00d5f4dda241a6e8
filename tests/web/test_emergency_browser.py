"""In an emergency, with a real browser: one asks, another approves, the first sees one timeline."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from app.access.roles import Role
from tests.support.world import World, alert
from tests.web.browsing import Site, fits, picture, site

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def test_one_asks_another_approves_and_the_first_sees_it(served: Site) -> None:
    await served.world.deliver(alert(member="ref-M-2"))
    await served.world.workers.drain()
    asking, approving = await served.signed_in(Role.CASEWORKER), await served.signed_in(Role.ADMIN)
    await asking.goto("/emergency")
    await asking.get_by_text("Ask to see a timeline").click()
    await asking.get_by_label("The member's number").fill("M-2")
    await asking.get_by_label("Why it cannot wait").fill("Their bank called: they cannot be reached, and money leaves now.")
    await asking.get_by_role("button", name="Ask", exact=True).click()
    await expect(asking.get_by_text("Waits for approval")).to_be_visible()
    await approving.goto("/emergency")
    assert await fits(approving)
    await picture(approving, "emergency")
    await approving.get_by_role("button", name="Approve").click()
    await expect(approving.get_by_text("Open", exact=True)).to_be_visible()
    await asking.reload()
    await asking.get_by_role("link", name="See the timeline").click()
    await expect(asking.get_by_text("A credit card was opened")).to_be_visible()
    assert await fits(asking)
    await picture(asking, "emergency-timeline")
    assert served.trouble == []
