"""Signing in with a real browser and its virtual authenticator: first link, passkey, out and in; password, code, recovery."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest
from playwright.async_api import Page, Route, expect

from app.access.roles import Role
from app.kit import clock
from tests.access.entering import PASSWORD, code_of, link
from tests.support.world import NOW
from tests.web.browsing import Site, fits, picture

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]


async def with_authenticator(page: Page, transport: str = "internal") -> str:
    """Give the browser an authenticator whose person is always there and verified; its id."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": transport,
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return str(made["authenticatorId"])


async def press(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name, exact=True).click()


async def open_link(site: Site, page: Page, who: str, role: Role) -> None:
    await page.goto(await link(site.world, who, role))
    await press(page, "Sign in")


async def test_a_member_by_first_link_and_passkey_out_and_in_again(addressed: Site) -> None:
    page = await addressed.opened()
    await with_authenticator(page)
    await open_link(addressed, page, "M-1", Role.MEMBER)
    await expect(page.get_by_role("heading", name="Set up how you sign in")).to_be_visible()
    assert await fits(page)
    await picture(page, "welcome")
    await page.get_by_label("What it is on").select_option("computer")
    await press(page, "Make a passkey")
    await expect(page.get_by_role("heading", name="How you sign in", exact=True)).to_be_visible()
    await expect(page.locator("li strong").get_by_text("My computer")).to_be_visible()
    assert await fits(page)
    await press(page, "Make a recovery code")
    await expect(page.locator("p.recovery code")).to_have_text(re.compile("^[A-Z0-9-]{35}$"))
    assert await fits(page)
    await press(page, "Sign out")
    await expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    assert await fits(page)
    await picture(page, "sign-in")
    await press(page, "Sign in with a passkey")
    await page.wait_for_url("**/timeline")
    await page.get_by_role("link", name="How you sign in").click()
    await expect(page.get_by_text("last used")).to_be_visible()
    await picture(page, "ways-in")
    assert addressed.trouble == []


async def test_an_admin_with_two_keys_confirms_and_loses_nothing_that_was_typed(addressed: Site) -> None:
    page = await addressed.opened()
    await with_authenticator(page)
    await open_link(addressed, page, Role.ADMIN, Role.ADMIN)
    await press(page, "Make a passkey")
    await expect(page.get_by_role("heading", name="One more passkey")).to_be_visible()
    await with_authenticator(page, "usb")
    await press(page, "Make a passkey")
    await expect(page.locator("li strong").get_by_text("A security key")).to_be_visible()
    await press(page, "Sign out")
    await press(page, "Sign in with a passkey")
    await page.wait_for_url("**/admin")
    clock.set_to(NOW + timedelta(minutes=6))
    await page.get_by_text("Add a person").click()
    await page.get_by_label("E-mail address", exact=True).fill("new@example.org")
    await page.locator("#role").select_option("auditor")
    await press(page, "Send a sign-in link")
    await expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()
    assert await fits(page)
    await picture(page, "confirm")
    addressed.trouble.clear()  # the browser writes down the 403
    await press(page, "Go on with a passkey")
    await page.wait_for_url("**/admin#people")
    await expect(page.locator("#people tbody tr")).to_have_count(6)
    assert addressed.trouble == []


async def test_a_passkey_is_not_asked_for_before_its_script_is_there(addressed: Site) -> None:
    page = await addressed.opened()
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await page.route("**/static/passkeys.js*", late)
    await page.goto("/sign-in", wait_until="commit")
    button = page.get_by_role("button", name="Sign in with a passkey", exact=True)
    await expect(button).to_be_disabled()
    come.set()
    await expect(button).to_be_enabled()
    assert addressed.trouble == []


async def test_staff_sign_in_with_a_passkey(addressed: Site) -> None:
    page = await addressed.opened()
    await with_authenticator(page)
    await open_link(addressed, page, Role.STAFF, Role.STAFF)
    await expect(page.get_by_text("I would rather use a password")).to_have_count(0)
    await press(page, "Make a passkey")
    await expect(page.get_by_role("heading", name="How you sign in", exact=True)).to_be_visible()
    await press(page, "Sign out")
    await press(page, "Sign in with a passkey")
    await page.wait_for_url("**/statistics")
    assert addressed.trouble == []


async def test_a_browser_without_the_passkey_is_told_so(addressed: Site) -> None:
    page = await addressed.opened()
    await with_authenticator(page)
    await page.goto("/sign-in")
    await press(page, "Sign in with a passkey")
    await expect(page.get_by_role("alert")).to_have_text(re.compile("This did not work"))
    await expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


async def test_a_member_by_password_and_code(addressed: Site) -> None:
    page = await addressed.opened()
    await open_link(addressed, page, "M-1", Role.MEMBER)
    await page.get_by_text("I would rather use a password").click()
    await page.get_by_label("Password", exact=False).first.fill("password1234567")
    await page.get_by_label("The same once more").fill("password1234567")
    await press(page, "Go on to the code app")
    await expect(page.get_by_text("easy to guess", exact=False).last).to_be_visible()
    await page.locator("#password").fill(PASSWORD)
    await page.get_by_label("The same once more").fill(PASSWORD)
    await press(page, "Go on to the code app")
    await expect(page.locator("svg.qr")).to_be_visible()
    assert await fits(page)
    await picture(page, "code-app")
    secret = await page.locator("details code").text_content() or ""
    await page.get_by_label("The six digits").fill(code_of(secret))
    await press(page, "Finish")
    await expect(page.get_by_text("Password and code app")).to_be_visible()
    await press(page, "Sign out")
    clock.set_to(NOW + timedelta(seconds=30))
    await page.get_by_text("Members: sign in with a password").click()
    await page.get_by_label("Your e-mail address").first.fill("avery@example.org")
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_label("The code that your app shows").fill(code_of(secret))
    await page.locator("form[action='/sign-in/password'] button").click()
    await page.wait_for_url("**/timeline")


async def test_everything_lost_and_a_day_later_a_new_passkey(addressed: Site) -> None:
    page = await addressed.opened()
    await with_authenticator(page)
    await open_link(addressed, page, "M-1", Role.MEMBER)
    await press(page, "Make a passkey")
    await press(page, "Make a recovery code")
    code = await page.locator("p.recovery code").text_content() or ""
    lost = await addressed.opened()
    await with_authenticator(lost)
    await open_link(addressed, lost, "M-1", Role.MEMBER)
    await expect(lost.get_by_role("heading", name="You have a way to sign in already")).to_be_visible()
    assert await fits(lost)
    await picture(lost, "recovery")
    await lost.get_by_label("Your recovery code").fill(code)
    await press(lost, "Begin anew")
    await expect(lost.get_by_role("heading", name="Come back tomorrow")).to_be_visible()
    await page.goto("/ways-in")
    await expect(page.get_by_role("button", name="Stop it")).to_be_visible()
    clock.set_to(NOW + timedelta(hours=24))
    await open_link(addressed, lost, "M-1", Role.MEMBER)
    await press(lost, "Make a passkey")
    await expect(lost.get_by_role("heading", name="How you sign in", exact=True)).to_be_visible()
