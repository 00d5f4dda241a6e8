"""Swagger UI under a policy without anything inline, in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from app.access.roles import Role
from tests.support.world import World
from tests.web.browsing import site

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


async def test_the_api_can_be_read_and_tried_and_the_policy_is_not_in_the_way(chromium: str, world: World) -> None:
    async with site(world, chromium) as served:
        page = await served.signed_in(Role.MEMBER)
        await page.goto("/docs")
        await expect(page.locator(".opblock").first).to_be_visible(timeout=20_000)
        await page.locator("#operations-access-who_am_i_v1_me_get, .opblock-get").first.click()
        await page.get_by_role("button", name="Try it out").first.click()
        await page.get_by_role("button", name="Execute").first.click()
        await expect(page.locator(".responses-table .response").first).to_be_visible()
        assert served.trouble == []
