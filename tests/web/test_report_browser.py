"""On a phone, without any script: a member reports a letter, mends a field, and tells what a service only hinted at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.timeline.wording import DETAILS
from tests.incidents.reports import PDF, hinted, reported
from tests.support.world import World
from tests.web.browsing import DESK, Site, fits, picture, site
from tests.web.test_browser import PAYLOADS

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]
PHOTO = b"\xff\xd8\xff\xe0\x00\x10JFIF an invented photo"


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def phone(served: Site, who: str = "M-1", **options: Any) -> Page:
    """A member's phone that runs no script at all."""
    return await served.signed_in(Role.MEMBER, who, java_script_enabled=False, **options)


async def test_a_member_reports_a_letter_on_a_phone_without_any_script(served: Site, tmp_path: Path) -> None:
    letter = tmp_path / "scan 1.bin"
    letter.write_bytes(PDF)
    page = await phone(served)
    await page.get_by_role("button", name="Report something yourself").click()
    await expect(page.get_by_role("heading", name="Report something yourself")).to_be_visible()
    await picture(page, "report", full_page=True)
    await page.get_by_role("button", name="Report it").click()
    await expect(page.get_by_text("Choose what happened.")).to_be_visible()
    await page.get_by_label("What happened?").select_option(label="A bank account was opened in your name")
    await page.get_by_label("At which bank, shop or office?").fill("Invented Savings")
    await page.get_by_label("Last digits of the account or card").fill("x")
    await page.get_by_label("You found out on").fill("2023-04-02")
    await page.get_by_label("In your own words").fill("A letter about an account that I never opened.")
    await page.get_by_role("button", name="Report it").click()
    await expect(page.get_by_text("Write the last two to four digits only")).to_be_visible()
    await expect(page.get_by_label("In your own words")).to_have_value("A letter about an account that I never opened.")
    await picture(page, "report-wrong")
    await page.get_by_label("Last digits of the account or card").fill("77")
    await page.get_by_label("A letter, a report to the FTC").set_input_files(letter)
    await page.get_by_role("button", name="Report it").click()
    await expect(page.get_by_text("We have your report.")).to_be_visible()
    await served.world.workers.drain()
    await page.goto("/timeline")
    await page.get_by_role("link", name="A bank account was opened in your name").click()
    await expect(page.get_by_role("heading", name="What you reported yourself")).to_be_visible()
    await expect(page.get_by_text("You entered it yourself. Why: a member who was signed in")).to_be_visible()
    async with page.expect_download() as saving:
        await page.get_by_role("link", name="Save the document").click()
    saved = await saving.value
    assert saved.suggested_filename == "report-2023-06-01.pdf"
    await saved.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == PDF
    assert [said for said in served.trouble if "422" not in said] == []


async def test_the_form_fits_the_narrowest_phone(served: Site) -> None:
    hint = await hinted(served.world)
    page = await served.signed_in(Role.MEMBER, "M-1")
    for path in ("/report", f"/incidents/{hint['id']}", "/timeline"):
        for width in (320, 390, 1100):
            await page.set_viewport_size({"width": width, "height": 800})
            await page.goto(path)
            assert await fits(page), (path, width)
    assert served.trouble == []


async def test_a_member_tells_what_the_service_only_hinted_at(served: Site, tmp_path: Path) -> None:
    await hinted(served.world)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO)
    page = await phone(served)
    await expect(page.get_by_text("Details wanted")).to_be_visible()
    await picture(page, "details-wanted")
    await page.get_by_role("link", name="Tell us what it says").click()
    await expect(page.get_by_text(DETAILS)).to_be_visible()
    await picture(page, "details-form")
    await page.get_by_label("What happened?").select_option("new_account.credit_card")
    await page.get_by_label("At which bank, shop or office?").fill("Invented Bank")
    await page.get_by_label("A letter, a report to the FTC").set_input_files(photo)
    await page.get_by_role("button", name="Tell us").click()
    await served.world.workers.drain()
    await page.goto("/timeline")
    await expect(page.get_by_text("Details wanted")).to_have_count(0)
    await page.get_by_role("link", name="A credit card was opened in your name").click()
    await expect(page.get_by_text(DETAILS)).to_have_count(0)
    assert served.trouble == []


async def test_nothing_that_was_typed_in_ever_runs(served: Site) -> None:
    for number, payload in enumerate(PAYLOADS):
        line = " ".join("".join(letter for letter in payload if letter.isprintable()).split())
        await reported(served.world, {"kind": "tax.fraud", "institution": f"{number} {line}"[:200], "note": payload}, who="M-2")
    page = await served.signed_in(Role.MEMBER, "M-2", viewport=DESK)
    await page.goto("/timeline")
    for path in [await one.get_attribute("href") for one in await page.locator(".timeline h2 a").all()]:
        await page.goto(path or "")
        await expect(page.get_by_role("heading", name="Was this you?")).to_be_visible()
    await page.goto("/report?completes=0190a3c5-7d1e-7c3a-9b52-5d6f1f0c9a02")
    await page.get_by_label("In your own words").fill(PAYLOADS[0])
    await page.get_by_label("At which bank, shop or office?").fill('"><script>alert(1)</script>')
    await page.get_by_role("button", name="Report it").click()
    await expect(page.get_by_label("In your own words")).to_have_value(PAYLOADS[0])
    assert [said for said in served.trouble if "422" not in said] == []
