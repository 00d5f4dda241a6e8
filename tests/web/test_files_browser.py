"""An admin on a phone without JavaScript: says what the columns of an export mean, finds bad rows, and hands it in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.access.sessions import FRESH_FOR
from app.kit import clock
from app.kit.edge import LARGEST_UPLOAD
from tests.intake.exports import connected
from tests.intake.test_handing_in import timelines
from tests.support.world import World
from tests.web.browsing import PHONE, Site, fits, picture, site
from tests.web.test_office_browser import NARROW

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]

EXPORT = (
    "Member No.,Alert ID,Alert Type,Lender,Account,Amount,Opened\n"
    "ref-one,W-1001,New Credit Card,Invented Bank,xxxx4321,1200.50,03/20/2023\n"
    "ref-two,W-1002,Score Change,,,,03/21/2023\n"
    "ref-two,W-1003,New Loan,Another Invented Bank,xxxx9876,5000,2023-03-22\n"
    "ref-one,W-1004,Dark Web Find,,,,03/23/2023\n"
    "ref-two,W-1005,New Loan,A Third Invented Bank\n"
)
FILE: Any = {"name": "export.csv", "mimeType": "text/csv", "buffer": EXPORT.encode()}


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def is_phone_fit(page: Page) -> None:
    assert await fits(page)
    await page.set_viewport_size(NARROW)
    assert await fits(page)
    await page.set_viewport_size(PHONE)


async def test_an_export_is_described_looked_at_and_handed_in_on_a_phone(served: Site) -> None:
    await connected(served.world)
    page = await served.signed_in(Role.ADMIN, java_script_enabled=False)
    await page.get_by_role("link", name="Exports").click()
    await page.get_by_role("button", name="Hand in a file").click()
    await is_phone_fit(page)
    await page.get_by_role("button", name="Look at it, keep nothing").click()
    await expect(page.get_by_text("Choose a file.")).to_be_visible()
    await page.locator("#file").set_input_files(FILE)
    await page.get_by_role("button", name="Look at it, keep nothing").click()
    await expect(page.get_by_text("there is no column 'member'")).to_be_visible()
    await page.locator("#file").set_input_files(FILE)
    await page.get_by_role("button", name="Say what its columns mean").click()
    await expect(page.get_by_label("Whose it is")).to_have_value("Member No.")
    await page.get_by_label("How days are written there").nth(1).select_option("03/30/2023 (month first)")
    await is_phone_fit(page)
    await picture(page, "file-columns", full_page=True)
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_label("New Credit Card").select_option("New accounts: credit card")
    await page.get_by_label("Score Change").select_option("No alert: keep it, and do nothing")
    await page.get_by_label("New Loan").select_option("New accounts: personal loan")
    await is_phone_fit(page)
    await picture(page, "file-words", full_page=True)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. From now on files are read by it.")).to_be_visible()
    await page.locator("#file").set_input_files(FILE)
    await page.get_by_role("button", name="Look at it, keep nothing").click()
    await expect(page.get_by_role("heading", name="2 rows cannot be read")).to_be_visible()
    await expect(page.get_by_role("row", name="4 Opened Write the day as 03/30/2023, the month first.")).to_be_visible()
    await expect(page.get_by_role("row", name="6 It has 4 columns, and the header has 7.")).to_be_visible()
    await is_phone_fit(page)
    await picture(page, "file-import", full_page=True)
    assert await timelines(served.world) == []
    await page.locator("#file").set_input_files(FILE)
    await page.get_by_role("button", name="Hand it in").click()
    await expect(page.get_by_text("The file is kept, all of it. 5 rows")).to_be_visible()
    await expect(page.get_by_text("Kept whole")).to_be_visible()
    await is_phone_fit(page)
    assert len(await timelines(served.world)) == 1
    assert [said for said in served.trouble if "422" not in said] == []


async def test_whoever_must_show_that_it_is_them_gets_to_read_so_after_a_large_file(served: Site) -> None:
    await connected(served.world)
    page = await served.signed_in(Role.ADMIN, java_script_enabled=False)
    await page.get_by_role("link", name="Exports").click()
    await page.get_by_role("button", name="Hand in a file").click()
    clock.set_to(clock.now() + FRESH_FOR + timedelta(seconds=1))
    await page.locator("#file").set_input_files({**FILE, "buffer": b"x" * (3 * 1024 * 1024)})
    await page.get_by_role("button", name="Look at it, keep nothing").click()
    await expect(page.get_by_text("The file is not kept meanwhile: choose it again afterwards.")).to_be_visible()


async def test_a_file_that_is_too_large_is_told_where_it_is_taken(served: Site, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * LARGEST_UPLOAD)
    await connected(served.world)
    page = await served.signed_in(Role.ADMIN, java_script_enabled=False)
    await page.get_by_role("link", name="Exports").click()
    await page.get_by_role("button", name="Hand in a file").click()
    await page.locator("#file").set_input_files(large)
    await page.get_by_role("button", name="Look at it, keep nothing").click()
    await expect(page.get_by_text("harmline files add")).to_be_visible()
