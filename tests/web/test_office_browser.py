"""Admins and caseworkers with a browser: connections set up and mended on a phone, queues worked by keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from app.intake import looking_up
from app.kit import clock
from connectors.playing import PEOPLE, Playground
from connectors.sandboxing import Fault, serving_app
from tests.intake.looked_up import looked_up_world
from tests.intake.polled import polled_world
from tests.support.paged import Paged
from tests.support.world import NOW, World, alert
from tests.web.browsing import DESK, PHONE, Site, fits, picture, site
from tests.web.test_queue_pages import newcomer

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]

NARROW = {"width": 320, "height": 640}


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def tab_to(page: Page, name: str, most: int = 60) -> None:
    """Press Tab until what bears this name has the focus."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "(e => (e.getAttribute('aria-label') || (e.labels && e.labels[0] && e.labels[0].innerText) || e.innerText || ''))"
            "(document.activeElement)"
        )
        if name in focused:
            return
    raise AssertionError(f"no Tab leads to {name}")


async def test_an_admin_adds_a_connection_and_replaces_its_secret_on_a_phone(served: Site) -> None:
    page = await served.signed_in(Role.ADMIN)
    await page.get_by_role("button", name="Add a connection").click()
    assert await fits(page)
    await page.get_by_role("link", name="Have I Been Pwned", exact=True).click()
    await page.get_by_label("Name, as members will read it").fill("Breach Watch")
    await picture(page, "add-connection", full_page=True)
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_text("Fill this in.")).to_be_visible()
    await expect(page.get_by_label("Name, as members will read it")).to_have_value("Breach Watch")
    await page.get_by_label("Your API key").fill("k" * 32)
    assert await fits(page)
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_role("heading", name="“Breach Watch” is added")).to_be_visible()
    await page.goto("/admin")
    await page.get_by_role("link", name="Union Monitor").click()
    await expect(page.get_by_text("Nothing came yet").first).to_be_visible()
    assert await fits(page)
    await page.get_by_text("Make a new secret").click()
    await page.get_by_label("The old one still works").first.select_option("for another week")
    await page.get_by_role("button", name="Make it").first.click()
    await expect(page.get_by_text("whsec_")).to_be_visible()
    assert await fits(page)
    await picture(page, "new-secret", full_page=True)
    await page.get_by_role("link", name="To the connection").click()
    await expect(page.get_by_text("An older secret still works until")).to_be_visible()
    await picture(page, "connection", full_page=True)
    await page.set_viewport_size(NARROW)
    assert await fits(page)
    assert [said for said in served.trouble if "422" not in said] == []


async def test_an_admin_sees_what_stands_in_the_way_and_mends_it(served: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paged, "title", "Bureau alerts")
    async with polled_world(served.world) as polled:
        world = served.world
        assert (await world.deliver(alert())).status_code == 202
        await polled.ask()
        async with await world.sign_in(Role.ADMIN) as admin:
            await admin.patch(f"/v1/connections/{polled.connection_id}", json={"title": "Bureau Watch"})
        polled.later(hours=3)
        polled.provider.misbehave(Fault.REFUSED, times=30)
        await polled.ask()
        await world.workers.watch()
        page = await served.signed_in(Role.ADMIN)
        await expect(page.get_by_role("heading", name="What stands in the way")).to_be_visible()
        await expect(page.get_by_text("Not let in")).to_be_visible()
        assert await fits(page)
        await picture(page, "admin", full_page=True)
        await page.get_by_role("link", name="Bureau Watch").first.click()
        await expect(page.get_by_role("heading", name="How it is doing: Not let in")).to_be_visible()
        assert await fits(page)
        await page.set_viewport_size(NARROW)
        assert await fits(page)
        await page.set_viewport_size(PHONE)
        polled.provider.behave()
        await page.get_by_label("Its key").fill("key-2")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved.")).to_be_visible()
        await polled.ask()
        await page.reload()
        await expect(page.get_by_role("heading", name="How it is doing: Works")).to_be_visible()
        await page.get_by_role("button", name="Remove it").click()
        await expect(page.get_by_text("This cannot be taken back.")).to_be_visible()
        await page.get_by_role("button", name="Remove it for good").click()
        await expect(page.get_by_text("This connection is removed.")).to_be_visible()
        assert served.trouble == []


async def mislaid(world: World) -> None:
    """A service tells of something and then, however often it is asked, does not know it."""
    async with looked_up_world(world) as told_of:
        await told_of.enroll()
        told_of.provider.details.pop(told_of.happens())
        await told_of.notices()
        for wait in (timedelta(), *looking_up.AGAIN_AFTER, *looking_up.LATER_STILL):
            clock.set_to(clock.now() + wait)
            await world.workers.ask()


async def test_a_sandbox_is_played_with_on_a_phone(served: Site) -> None:
    playground = Playground(import_module("connectors.crs.sandbox").sandbox(lambda: NOW))
    async with serving_app(playground.app) as address:
        page = await served.browser.new_page(viewport=PHONE)
        await page.goto(address)
        assert await fits(page)
        await page.get_by_label("To", exact=True).fill(PEOPLE[0])
        await page.get_by_role("button", name="It happens").click()
        await expect(page.get_by_role("status")).to_contain_text("It learnt of")
        await page.set_viewport_size(NARROW)
        assert await fits(page)
        await page.set_viewport_size(PHONE)
        await picture(page, "sandbox", full_page=True)


async def test_a_caseworker_works_the_queues_by_keyboard_alone(served: Site) -> None:
    world = served.world
    await newcomer(world)
    await mislaid(world)
    for minutes, body in enumerate(
        (
            alert(id="n-1", member="ref-lost"),
            alert(id="n-2", member="ref-stray"),
            alert(id="q-1", type="new_account.moon_base"),
            {"alerts": [alert(id="q-2", amount="a lot"), alert(id="q-3")]},
            b"<html>Scheduled maintenance</html>",
        )
    ):
        clock.set_to(clock.now() + timedelta(minutes=minutes * 17))
        assert (await world.deliver(body)).status_code == 202
    assert (await world.deliver(alert(id="old"), at=clock.now() - timedelta(days=2))).status_code == 202
    await world.workers.drain()
    page = await served.signed_in(Role.CASEWORKER, viewport=DESK)
    await expect(page.get_by_role("heading", name="What waits for a person")).to_be_visible()
    await expect(page.get_by_role("button", name="Ask again")).to_have_count(1)
    await picture(page, "queues", full_page=True)
    await page.set_viewport_size(NARROW)
    assert await fits(page)
    await page.set_viewport_size(DESK)
    await tab_to(page, "Say whose it is")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Whose is it?")).to_be_visible()
    await picture(page, "whose", full_page=True)
    await tab_to(page, "The person’s number")
    await page.keyboard.type("M-9")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Check the number, then tick this.")).to_be_visible()
    await tab_to(page, "I have checked")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("The member is asked")
    await world.workers.drain()
    await page.goto("/queues")
    await expect(page.get_by_role("button", name="Say whose it is")).to_have_count(1)
    for text, said in (("Try again", "It still cannot be understood"), ("Take it as it is", "Understood now")):
        await tab_to(page, text)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text(said)
    assert [said for said in served.trouble if "422" not in said] == []
