"""The organization's own sign-in with a real browser and a real OpenID provider: its login page, its consent, and back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.kit import clock
from tests.access.fake_provider import CLIENT, SECRET, serving, wanted
from tests.access.real_provider import running
from tests.web.browsing import DESK, Site, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


@pytest.fixture
def served(addressed: Site) -> Site:
    """At the time that the provider's clock says."""
    clock.set_to(datetime.now(UTC))
    return addressed


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def log_in_there(page: Page, name: str) -> None:
    """The provider's own login page, and its question whether it may tell us."""
    await page.wait_for_url("**/interaction/**")
    await page.locator("input[name=login]").fill(name)
    await page.locator("input[name=password]").fill("whatever")
    await page.locator("button[type=submit]").click()


async def connect(served: Site, issuer: str) -> str:
    """An admin connects it by the page; the link to hand round."""
    admin = await served.signed_in(Role.ADMIN, viewport=DESK)
    await admin.get_by_role("button", name="Connect one").click()
    await expect(admin.get_by_role("heading", name="Your organization's own sign-in")).to_be_visible()
    await admin.get_by_label("Issuer").fill(issuer)
    await admin.get_by_label("Client id").fill(CLIENT)
    await admin.get_by_label("Client secret").fill(SECRET)
    await admin.locator("#domains").fill("union.example")
    await press(admin, "Connect it")
    await expect(admin.get_by_role("status")).to_contain_text("It is connected")
    assert await fits(admin)
    await picture(admin, "own-sign-in", full_page=True)
    link = await admin.locator("section.health code").text_content() or ""
    await admin.set_viewport_size({"width": 390, "height": 844})
    assert await fits(admin)
    await admin.context.close()
    return link


@pytest.mark.node
@pytest.mark.slow
async def test_staff_sign_in_through_a_real_provider_and_show_there_anew_that_it_is_them(served: Site) -> None:
    async with running(f"{served.address}/sign-in/provider/callback") as issuer:
        link = await connect(served, issuer)
        page = await served.opened()
        await page.goto(link)
        await expect(page.get_by_role("heading", name="Sign in with your organization")).to_be_visible()
        assert await fits(page)
        await picture(page, "sign-in-with")
        await page.get_by_role("button", name="Go on to").click()
        await log_in_there(page, "staff")
        await page.locator("button[type=submit]").click()  # its consent
        await page.wait_for_url(f"{served.address}/statistics")
        await page.get_by_role("link", name="How you sign in").click()
        await expect(page.get_by_text("Your organization's sign-in")).to_be_visible()
        assert await fits(page)
        await picture(page, "ways-in-own-sign-in", full_page=True)
        await press(page, "Make a recovery code")
        await expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()
        assert await fits(page)
        await picture(page, "confirm-own-sign-in")
        await page.get_by_role("button", name="Go on with your organization's sign-in").click()
        await log_in_there(page, "staff")
        await page.wait_for_url(f"{served.address}/ways-in")
        await press(page, "Make a recovery code")
        await expect(page.locator("p.recovery code")).to_be_visible()
        await press(page, "Sign out")
        await expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        stranger = await served.opened()
        await stranger.goto(link)
        await stranger.get_by_role("button", name="Go on to").click()
        await log_in_there(stranger, "nobody")
        await stranger.locator("button[type=submit]").click()
        await expect(stranger.get_by_role("heading", name="This is not open to you")).to_be_visible()
        assert await fits(stranger)


async def test_an_admin_sees_what_is_wrong_and_removes_it_again(served: Site) -> None:
    async with serving() as provider:
        admin = await served.signed_in(Role.ADMIN)
        await admin.goto("/admin/sign-in")
        assert await fits(admin)
        body = wanted(provider)
        await admin.get_by_label("Issuer").fill("https://login.example.corp")
        await admin.get_by_label("Client id").fill(body["client_id"])
        await admin.get_by_label("Client secret").fill(body["client_secret"])
        await admin.locator("#domains").fill("union.example")
        await press(admin, "Connect it")
        await expect(admin.locator("#issuer-wrong")).to_contain_text("private network")
        await expect(admin.get_by_label("Client id")).to_have_value(body["client_id"])
        assert await fits(admin)
        await admin.get_by_label("Issuer").fill(provider.issuer)
        await admin.get_by_label("Client secret").fill(body["client_secret"])
        await press(admin, "Connect it")
        await press(admin, "Switch it off")
        await expect(admin.get_by_text("Switched off", exact=True)).to_be_visible()
        await admin.get_by_role("button", name="Remove it …").click()
        await expect(admin.get_by_role("button", name="Remove it for good")).to_be_visible()
        assert await fits(admin)
        await press(admin, "Remove it for good")
        await expect(admin.get_by_role("button", name="Connect it")).to_be_visible()
