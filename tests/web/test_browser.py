"""A person with a browser: signs in by a link, answers, enters a loss, reads why; and nothing of others ever runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Route, expect

from app.access.roles import Role
from connectors.vocabulary import AlertKind
from tests.access.entering import link
from tests.statistics.synthetic import population
from tests.support.world import World, alert
from tests.web.browsing import DESK, PHONE, Site, fits, picture, site
from tests.web.fill import answer, fill, publish

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)]

CARD = "A credit card was opened in your name"
SEEN_OFTEN = (
    AlertKind.NEW_ACCOUNT_CREDIT_CARD,
    AlertKind.INQUIRY_HARD,
    AlertKind.TAX_FRAUD,
    AlertKind.NEW_ACCOUNT_BANK,
    AlertKind.TAKEOVER_BANK,
    AlertKind.FILE_CHANGE_ADDRESS,
    AlertKind.NEW_ACCOUNT_TELECOM_MOBILE,
    AlertKind.SSN_USE,
    AlertKind.GOVERNMENT_BENEFITS,
    AlertKind.CONSEQUENCE_COLLECTION,
)
RUN = "console.log('executed')"
PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt >{RUN}</sCrIpT>",
    f"</script><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f'"><img src=x onerror="{RUN}">',
    f"'><svg onload={RUN}>",
    f"<svg/onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>",
    f"<details open ontoggle={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}>",
    f"<video><source onerror={RUN}></video>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'>",
    f"<iframe src=javascript:{RUN}>",
    f"<object data=javascript:{RUN}>",
    f"<a href=javascript:{RUN}>click</a>",
    f"javascript:{RUN}",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}>",
    f"<template><script>{RUN}</script></template>",
    f"</textarea><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"</blockquote></bdi><script>{RUN}</script>",
    f"--><script>{RUN}</script>",
    f"]]><script>{RUN}</script>",
    "{{ 7*7 }}{% for x in () %}{% endfor %}",
    "${7*7} #{7*7} <%= 7*7 %>",
    f"<style>@import 'javascript:{RUN}';</style>",
    "<style>body{display:none}</style>",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.example/'>",
    "<base href=https://elsewhere.example/>",
    "<link rel=stylesheet href=https://elsewhere.example/x.css>",
    "<form action=https://elsewhere.example/><button>Sign in again</button></form>",
    "\u202e<script>gnp.exe\u202c",
    f"\u2028<script>{RUN}</script>\u2029",
    f"＜script＞{RUN}＜/script＞",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"\\u003cscript\\u003e{RUN}\\u003c/script\\u003e",
)


@pytest.fixture
async def served(world: World, chromium: str) -> AsyncIterator[Site]:
    async with site(world, chromium) as opened:
        yield opened


async def test_a_member_signs_in_answers_enters_a_loss_and_reads_why(served: Site) -> None:
    await fill(served.world)
    page = await served.signed_in(Role.MEMBER, "M-1")
    await expect(page).to_have_url(f"{served.address}/timeline")
    assert await fits(page)
    await page.get_by_role("link", name=CARD).click()
    await expect(page.get_by_role("heading", name="Was this you?")).to_be_visible()
    assert await fits(page)
    await page.get_by_role("button", name="No, this was not me").click()
    await expect(page.get_by_text("You said: this was not me.")).to_be_visible()

    await page.get_by_text("Add what it cost you").click()
    await page.get_by_label("What for").select_option("fraud_loss")
    await page.get_by_label("Amount in US dollars").fill("1250.505")
    await page.get_by_label("Day", exact=True).fill("2023-03-22")
    await page.get_by_role("button", name="Enter it").click()
    await expect(page.get_by_text("Write an amount above zero")).to_be_visible()
    await expect(page.get_by_label("Amount in US dollars")).to_have_value("1250.505")
    await page.get_by_label("Amount in US dollars").fill("1,250.50")
    await page.get_by_label("By whom").select_option("bank")
    await page.get_by_label("How much").fill("1000")
    await page.get_by_role("button", name="Enter it").click()
    await expect(page.locator("table.losses tfoot")).to_contain_text("$250.50")

    for heading in ("What speaks for a link", "What speaks against it", "What is not known"):
        await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    await page.locator(".facts .for details summary").first.click()
    await expect(page.locator(".facts .for details li").first).to_contain_text("[V]")
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await fits(page)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await page.goto("/timeline")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [said for said in served.trouble if "422" not in said] == []


async def test_a_member_reads_on_a_phone_who_looked(served: Site) -> None:
    await fill(served.world)
    counsel = await served.signed_in(Role.COUNSEL)
    await counsel.get_by_role("link", name="The matter").click()
    await counsel.get_by_role("link", name=CARD).click()
    page = await served.signed_in(Role.MEMBER, "M-1")
    await page.get_by_role("link", name="Who looked").click()
    await expect(page.get_by_role("cell", name="Counsel").first).to_be_visible()
    await expect(page.get_by_role("link", name="One incident").first).to_be_visible()
    assert await fits(page)
    await picture(page, "visits")
    await page.get_by_role("link", name="With your own visits").click()
    await expect(page.get_by_role("cell", name="You", exact=True).first).to_be_visible()


async def test_a_link_is_spent_by_the_button_and_only_once(served: Site) -> None:
    page, path = await served.opened(), await link(served.world, Role.STAFF, Role.STAFF)
    await page.goto(path)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{served.address}/welcome")
    await page.goto(path)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="This link is no longer good")).to_be_visible()


async def deliver_payloads(world: World) -> None:
    """Every payload in every field that holds words: many versions of one alert, and some alerts of their own."""
    versions: list[dict[str, Any]] = [
        alert(id="evil", institution=text[:100], summary=text, amount=f"{100 + place}.00") for place, text in enumerate(PAYLOADS)
    ]
    for version in versions:
        assert (await world.deliver({"alerts": [version]})).status_code == 202
    kinds = [kind for kind in AlertKind if kind.family in ("exposure", "government", "court")]
    own = [alert(id=f"e-{n}", type=kind.value, institution=PAYLOADS[n], summary=PAYLOADS[n]) for n, kind in enumerate(kinds)]
    assert (await world.deliver({"alerts": own})).status_code == 202
    await world.workers.drain()


@pytest.mark.parametrize("bypass_csp", [False, True])
async def test_what_others_wrote_is_shown_and_never_runs(served: Site, bypass_csp: bool) -> None:
    await deliver_payloads(served.world)
    elsewhere: list[str] = []
    options = {"bypass_csp": bypass_csp, "viewport": DESK}
    for role, who in ((Role.MEMBER, "M-1"), (Role.COUNSEL, "")):
        page = await served.signed_in(role, who, **options)
        page.on("request", lambda request: elsewhere.append(request.url) if "elsewhere" in request.url else None)
        if role is Role.COUNSEL:
            await page.get_by_role("link", name="The matter").click()
        await expect(page.get_by_text(PAYLOADS[3]).first).to_be_visible()
        await page.get_by_role("link", name=CARD).click()
        for payload in PAYLOADS[:28]:
            await expect(page.get_by_text(payload).first).to_be_visible()
        await expect(page.get_by_text("\\u202e").first).to_be_visible()
        if role is Role.MEMBER:
            await page.get_by_text("Add what it cost you").click()
            await page.get_by_label("Amount in US dollars").fill(PAYLOADS[4])
            await page.get_by_label("A note").fill(PAYLOADS[21])
            await page.get_by_role("button", name="Enter it").click()
            await expect(page.get_by_label("Amount in US dollars")).to_have_value(PAYLOADS[4])
        added = "main :is(script, style, iframe, object, embed, base, meta, link, img, video, math, template)"
        assert await page.locator(added).count() == 0
        await page.get_by_role("link", name="See the original").nth(4).click()
        await expect(page.get_by_role("heading", name="What the service really sent")).to_be_visible()
        assert await page.locator(added).count() == 0
    assert [said for said in served.trouble if "422" not in said] == []
    assert elsewhere == []


async def test_pages_bring_no_code_and_the_policy_refuses_any(served: Site) -> None:
    page = await served.signed_in(Role.MEMBER, "M-1")
    assert await page.locator("script, [style], style").count() == 0
    ran = await page.evaluate(
        "() => new Promise(done => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); setTimeout(() => done(window.ran === 1), 50) })"
    )
    assert ran is False
    assert any("Content Security Policy" in said for said in served.trouble)


async def test_a_page_never_shows_half_of_its_look(served: Site) -> None:
    page = await served.signed_in(Role.MEMBER, "M-1")
    styles: list[str] = []

    async def later(route: Route) -> None:
        styles.append(route.request.url)
        await asyncio.sleep(0.5 * (len(styles) - 1))  # each comes later than the one before it
        await route.continue_()

    await page.route("**/static/*.css*", later)
    await page.get_by_role("button", name="Report something yourself").click()
    for _ in range(20):  # who measures a page has it laid out with what has come by then
        with suppress(PlaywrightError):
            await page.evaluate("() => [...document.querySelectorAll('select')].map(one => one.offsetHeight)")
        await asyncio.sleep(0.05)
    await expect(page.get_by_label("What happened?")).to_be_visible()
    assert served.trouble == []
    assert len(styles) == 1


async def test_the_timeline_on_a_phone(served: Site) -> None:
    await fill(served.world)
    await answer(served.world, "A tax return was filed in your name", "not_me")
    await answer(served.world, "Somebody applied for credit in your name", "was_me")
    page = await served.signed_in(Role.MEMBER, "M-1", device_scale_factor=2)
    await expect(page.get_by_role("listitem").filter(has_text="A tax return")).to_contain_text("Not me")
    boxes = [await item.bounding_box() for item in await page.locator(".timeline > li").all()]
    assert len(boxes) == 5
    assert all(box is not None and box["width"] >= 300 and box["x"] + box["width"] <= PHONE["width"] for box in boxes)
    assert served.trouble == []
    await picture(page, "timeline")


async def test_the_statistics_page_draws_what_was_released(served: Site) -> None:
    rows = population(3, hit=216, months=22, kinds=SEEN_OFTEN, extra=1.2, skew=1.0)
    release = await publish(served.world, rows, 714, datetime(2025, 1, 2, 8, tzinfo=UTC))
    over_time = next(cube for cube in release.cubes if cube.name == "by_time")
    page = await served.signed_in(Role.STAFF, viewport=DESK)
    chart = page.get_by_role("img", name="Members with any incident, over time")
    await expect(chart).to_be_visible()
    values = [cell.value for cell in over_time.cells]
    assert await chart.locator("rect.bar").count() == len([value for value in values if value is not None])
    assert await chart.locator("rect.veiled").count() == values.count(None) > 0
    tallest = max(value for value in values if value is not None)
    heights = {value: float(await _height(chart, place)) for place, value in enumerate(values) if value is not None}
    assert max(heights, key=lambda value: heights[value]) == tallest
    await page.get_by_text("The same as a table").first.click()
    await expect(page.get_by_role("row", name="January 2023")).to_be_visible()
    assert served.trouble == []
    await page.get_by_text("The same as a table").first.click()
    await picture(page, "statistics", full_page=True)
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await fits(page)


async def _height(chart: Any, place: int) -> str:
    return str(await chart.locator("rect.bar, rect.veiled").nth(place).get_attribute("height"))
