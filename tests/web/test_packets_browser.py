"""Counsel with a real browser: pick a packet, see what will be in it, show who it is, have it built, download it, check it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.kit import clock
from app.main import Workers
from tests.evidence.ordered import busy, unpacked
from tests.evidence.test_packets import proven
from tests.support.world import NOW
from tests.web.browsing import DESK, PHONE, Site, fits, picture
from tests.web.test_ways_in_browser import open_link, press, with_authenticator

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


async def _work(workers: Workers) -> None:
    """What the clock of the service does."""
    while True:
        await workers.builder.look_up()
        await workers.builder.build()
        await asyncio.sleep(0.05)


async def _to_the_form_for_a_claim(page: Page) -> None:
    await page.get_by_role("link", name="Back to The matter").click()
    assert await fits(page)
    await page.get_by_role("checkbox").first.check()
    await page.get_by_role("checkbox").last.check()
    await press(page, "Make a packet about the members you tick")
    await expect(page.get_by_text("Make a packet about 2 members")).to_be_visible()
    assert await fits(page)


async def test_the_whole_way_from_a_pick_to_a_packet_that_proves_itself(addressed: Site, tmp_path: Path) -> None:
    world = addressed.world
    await busy(world)
    page = await addressed.opened(accept_downloads=True)
    await with_authenticator(page)
    await open_link(addressed, page, Role.COUNSEL, Role.COUNSEL)
    await press(page, "Make a passkey")
    await expect(page.get_by_role("heading", name="How you sign in", exact=True)).to_be_visible()
    await page.goto("/matters")
    clock.set_to(NOW + timedelta(minutes=6))
    await page.get_by_role("link", name="The matter").click()
    await page.get_by_role("link", name="Packets: take it all along").click()
    assert await fits(page)
    await page.get_by_label("What its exhibits' numbers begin with").fill("opoa")
    await press(page, "See what will be in it")
    await expect(page.get_by_text("Write 2 to 12 capital letters")).to_be_visible()
    addressed.trouble.clear()  # the browser writes down the 422
    await page.get_by_label("What its exhibits' numbers begin with").fill("OPOA")
    await press(page, "See what will be in it")
    await expect(page.get_by_text("is being looked up")).to_be_visible()
    assert await fits(page)
    working = asyncio.create_task(_work(world.workers))
    await expect(page.get_by_role("heading", name="What will be in it")).to_be_visible()  # the page opened again by itself
    await expect(page.get_by_text("Nothing, as far as can be told")).to_be_visible()
    assert await fits(page)
    await picture(page, "packet-preview", full_page=True)
    await page.get_by_role("button", name="Show that it is you, then build it").click()
    await press(page, "Go on with a passkey")
    await press(page, "Build this packet")
    await expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    assert await fits(page)
    await picture(page, "packet-ready", full_page=True)
    async with page.expect_download() as coming:
        await page.get_by_role("button", name="Download (").click()
    await (await coming.value).save_as(tmp_path / "packet.zip")
    folder = unpacked((tmp_path / "packet.zip").read_bytes(), tmp_path / "out")
    report = proven(folder)
    assert report["proven"], report["failures"]
    await page.reload()
    await expect(page.get_by_text("Downloaded 1 June")).to_be_visible()
    assert report["number"] == "".join((await page.locator("code.hash").inner_text()).split())
    await page.set_viewport_size(DESK)
    await page.get_by_role("link", name="Back to the packets of").click()
    await expect(page.get_by_text("by you").first).to_be_visible()
    await page.set_viewport_size(PHONE)
    assert await fits(page)
    await picture(page, "packets", full_page=True)
    working.cancel()
    await _to_the_form_for_a_claim(page)
    assert addressed.trouble == []
