"""The auditor with a phone: the newest signed state of the ledger, who confirmed it, and both saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.kit import clock
from app.ledger.notes import open_checkpoint, parse_key
from tests.ledger.attested import attesting, grow, trust
from tests.ledger.authority import authority
from tests.ledger.small_witness import small_witness
from tests.support.world import World
from tests.web.browsing import Site, fits, picture, site
from tests.web.test_office_browser import NARROW

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def saved(page: Page, name: str) -> bytes:
    """What a link brings down."""
    async with page.expect_download() as coming:
        await page.get_by_role("link", name=name).click()
    return await asyncio.to_thread(Path(await (await coming.value).path()).read_bytes)


async def test_an_auditor_saves_the_signed_state_and_the_key_on_a_phone(served: Site, tmp_path: Path) -> None:
    clock.set_to(clock.machine())
    await grow(served.world, 1200)
    async with small_witness() as witness, authority(tmp_path / "authority") as stamps:
        await trust(served.world, witness)
        at_work = attesting(served.world, {"stamps.example": stamps}, {"local-17": witness})
        assert await at_work.cosign() >= 1
        assert await at_work.stamp() >= 1
        newest = await grow(served.world, 3)
        assert await at_work.cosign() >= 1
    page = await served.signed_in(Role.AUDITOR)
    await expect(page.get_by_role("heading", name="Its newest signed state")).to_be_visible()
    await expect(page.get_by_text(f"has cosigned the state of all {newest.size:,} entries")).to_be_visible()
    assert await fits(page)
    await picture(page, "ledger")
    checkpoint, _ = open_checkpoint(
        await saved(page, "Save the signed state"), [parse_key((await saved(page, "Save the key")).decode().strip())]
    )
    assert (checkpoint.size, checkpoint.root) == (newest.size, newest.root)
    assert len(await saved(page, "Save its timestamp")) > 500
    await page.set_viewport_size(NARROW)
    assert await fits(page)
    assert served.trouble == []
