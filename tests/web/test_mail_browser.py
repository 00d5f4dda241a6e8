"""Mails, with a real browser: forwarding set up on a phone, what is left to a caseworker, an admin's rules. No script runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, expect

from app.access.roles import Role
from tests.support.world import World
from tests.timeline.mails import STRANGE, Mailed, mail, mailed_world, question
from tests.web.browsing import DESK, Site, fits, picture, site

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]

LETTER = """Dear Avery Invented,

a credit card account was opened with Westlake Invented Bank.
Account number: 4400 1234 1234 4321
Credit limit: $4,200.00
Reported: 2023-05-20 by Experian

Write to avery@example.org or see https://members.something.service.example/alert?id=8f3a for more.
<script>document.title = "executed"</script>
"""


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


REFUSED = "console: Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
"""What Chromium says of a form that was not right yet."""


async def without_scripts(served: Site, role: Role, who: str = "", **options: object) -> Page:
    return await served.signed_in(role, who, java_script_enabled=False, **options)


async def test_a_member_sets_up_forwarding_on_a_phone(served: Site) -> None:
    page = await without_scripts(served, Role.MEMBER, "M-1")
    await page.goto("/forwarding")
    await expect(page.get_by_text("has not set up e-mail here yet")).to_be_visible()
    mailed = await mailed_world(served.world)
    await page.reload()
    await picture(page, "forwarding-agree", full_page=True)
    await page.get_by_role("button", name="I agree: make my address").click()
    address = await page.locator("#address").inner_text()
    assert address.startswith("m-")
    await mailed.bring(question(), address)
    await page.reload()
    await expect(page.get_by_text("123456789").first).to_be_visible()
    await expect(page.get_by_text("We could not check that this mail is from Google")).to_be_visible()
    assert await page.locator("a[href*='google.com']").count() == 0
    await page.get_by_text("Gmail", exact=True).click()
    await expect(page.locator("#gmail-senders")).to_be_visible()
    assert "idnotify.com" in await page.locator("#gmail-senders").inner_text()
    assert await fits(page)
    await picture(page, "forwarding", full_page=True)
    await page.get_by_role("button", name="Take a new address").click()
    assert await page.locator("#address").inner_text() != address
    await page.get_by_role("button", name="End it").click()
    await expect(page.get_by_role("button", name="I agree: make my address")).to_be_visible()
    assert served.trouble == []


async def _two_alike(mailed: Mailed) -> None:
    address = await mailed.address()
    for number in (1, 2):
        await mailed.bring(mail(subject=f"New credit card alert for Avery {number}", text=LETTER), address)


async def test_a_caseworker_reads_a_mail_and_makes_a_rule_of_it(served: Site) -> None:
    mailed = await mailed_world(served.world)
    await _two_alike(mailed)
    page = await without_scripts(served, Role.CASEWORKER)
    await page.goto("/queues")
    await expect(page.get_by_role("button", name="Read it")).to_have_count(2)
    assert await fits(page)
    await picture(page, "review-queue", full_page=True)
    await page.get_by_role("button", name="Read it").first.click()
    await expect(page.get_by_text("•••• ••••")).to_be_visible()
    shown = await page.content()
    assert "avery@example.org" not in shown
    assert "8f3a" not in shown
    assert "1234 1234" not in shown
    await page.locator("#kind").select_option("new_account.credit_card")
    await page.get_by_label("Company").fill("Westlake Invented Bank")
    await page.get_by_label("Last digits").fill("43210")
    await page.get_by_role("button", name="This is what it says").click()
    await expect(page.get_by_text("Write the last two to four digits only")).to_be_visible()
    assert await page.get_by_label("Company").input_value() == "Westlake Invented Bank"
    await page.get_by_label("Last digits").fill("4321")
    await page.locator("#amount").fill("$4,200")
    assert await fits(page)
    await picture(page, "review", full_page=True)
    await page.get_by_role("button", name="Make a rule of it, too …").click()
    await expect(page.get_by_label("Its name")).to_have_value(STRANGE)
    assert "Avery" not in await page.get_by_label("Its text").input_value()
    await picture(page, "review-rule", full_page=True)
    await page.get_by_role("button", name="Save the rule and the answer").click()
    await expect(page.get_by_text("Noted. It is read as you said")).to_be_visible()
    await expect(page.get_by_role("button", name="Read it")).to_have_count(1)
    told = {entry["amount"]: entry["institution"] for entry in await served.world.timeline("M-1")}
    assert told["4200.00"] == "Westlake Invented Bank", "as it was answered; the other mail is read by the new rule"
    assert len(told) == 2
    member = await without_scripts(served, Role.MEMBER, "M-1")
    await member.goto("/visits")
    await expect(member.get_by_text("A mail that was forwarded for you").first).to_be_visible()
    assert served.trouble == [REFUSED]


async def test_a_caseworker_says_that_it_is_no_alert(served: Site) -> None:
    mailed = await mailed_world(served.world)
    event_id = await mailed.asked()
    page = await without_scripts(served, Role.CASEWORKER)
    await page.goto(f"/queues/reviews/{event_id}")
    await page.get_by_role("button", name="It is no alert").click()
    await expect(page.get_by_text("Choose what it is.")).to_be_visible()
    await page.locator("#not_an_alert").select_option("advertising")
    await page.get_by_role("button", name="It is no alert").click()
    await expect(page.get_by_role("button", name="Read it")).to_have_count(0)
    assert served.trouble == [REFUSED]


RULE = f"""title: Some service
domains:
  - {{domain: {STRANGE}, carries: alerts, mark: A, source: our own mail}}
alerts:
  - {{kind: tax.froud, subject: ['^Something happened$'], details_requested: true}}
"""


async def test_an_admin_tries_a_rule_out_before_it_is_saved(served: Site) -> None:
    mailed = await mailed_world(served.world)
    address = await mailed.address()
    for _ in range(2):
        await mailed.bring(mail(), address)
    page = await without_scripts(served, Role.ADMIN, viewport=DESK)
    await page.goto(f"/admin/connections/{mailed.connection_id}")
    await page.get_by_role("button", name="See and change the rules").click()
    await picture(page, "rules")
    await page.get_by_role("button", name="Write a new one").click()
    await page.get_by_label("Its name").fill("some-service")
    await page.locator("#text").fill(RULE)
    await page.get_by_role("button", name="Try it out").click()
    await expect(page.get_by_text("alerts.0.kind: is none of the words that may stand here (line 5)")).to_be_visible()
    await page.locator("#text").fill(RULE.replace("froud", "fraud"))
    await page.get_by_role("button", name="Try it out").click()
    await expect(page.get_by_text("2 would be told otherwise.")).to_be_visible()
    await expect(page.get_by_role("row", name="A tax return was filed in your name 0 2")).to_be_visible()
    assert await fits(page)
    await picture(page, "rule-editor", full_page=True)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. What comes from now on")).to_be_visible()
    await page.get_by_role("button", name="Change some-service").click()
    await expect(page.get_by_label("Its name")).to_have_value("some-service")
    await page.go_back()
    await page.get_by_role("button", name="Withdraw some-service").click()
    await expect(page.get_by_text("Withdrawn. Nothing is read by it")).to_be_visible()
    await page.get_by_text("idx", exact=True).click()
    await page.get_by_role("button", name="Copy idx to change it").click()
    assert "domains:" in await page.locator("#text").input_value()
    assert served.trouble == [REFUSED]
