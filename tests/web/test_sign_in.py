"""Signing in and out: a link is spent once, by its button alone, and the answer never says who is known."""

from __future__ import annotations

import re

from app.access import service as access
from app.access.roles import Role
from app.kit import clock
from tests.support.world import World


async def link(world: World, role: Role = Role.MEMBER) -> str:
    async with world.context.database.begin() as tx:
        return "/sign-in/" + await access.create_link(tx, world.union.accounts[role], role)


async def test_asking_for_a_link_answers_the_same_for_everybody(world: World) -> None:
    async with world.browser() as browser:
        answers = [await browser.post("/sign-in", data={"email": email}) for email in ("avery@example.org", "nobody@example.org")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert "If we know this address, a link is on its way" in answers[0].text


async def test_what_is_no_address_is_said_in_place(world: World) -> None:
    async with world.browser() as browser:
        for typed in ("", "avery", "a@b c", '"><script>', "x" * 300 + "@example.org"):
            answer = await browser.post("/sign-in", data={"email": typed})
            assert answer.status_code == 422, typed
            assert "name@example.org" in answer.text
            assert '"><script>' not in answer.text
            assert 'aria-invalid="true"' in answer.text


async def test_opening_a_link_spends_nothing_pressing_the_button_does_once(world: World) -> None:
    path = await link(world)
    async with world.browser() as browser:
        for _ in range(3):
            assert (await browser.get(path)).status_code == 200
        done = await browser.post(path)
        assert (done.status_code, done.headers["location"]) == (303, "/welcome")
        assert (await browser.get("/timeline")).headers["location"] == "/welcome", "a link alone lets nobody in"
    async with world.browser() as other:
        assert (await other.post(path)).status_code == 410
        assert (await other.post("/sign-in/never-made")).status_code == 410
        assert (await other.get("/timeline")).status_code == 303


async def test_over_tls_the_cookie_belongs_to_this_host_alone(world: World) -> None:
    secure = world.context.settings.model_copy(update={"base_url": type(world.context.settings.base_url)("https://h.example")})
    world.app.state.context = type(world.context)(secure, world.context.database, world.context.keyring, world.context.mailer)
    async with world.browser() as browser:
        done = await browser.post(await link(world))
    cookies = sorted(done.headers.get_list("set-cookie"))
    assert re.search(r"^__Host-harmline-browser=[^;]+; HttpOnly; Max-Age=31536000; Path=/; SameSite=strict; Secure$", cookies[0])
    assert re.search(r"^__Host-harmline=[^;]+; HttpOnly; Path=/; SameSite=lax; Secure$", cookies[1])


async def test_an_old_link_is_no_good(world: World) -> None:
    path = await link(world)
    clock.set_to(clock.now() + access.LINK_LIFETIME)
    async with world.browser() as browser:
        assert (await browser.post(path)).status_code == 410


async def test_signing_in_again_ends_the_session_before(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        before = dict(browser.cookies)
        await browser.post(await link(world, Role.STAFF))
        assert (await browser.get("/welcome")).status_code == 200
    async with world.browser(before) as old:
        assert (await old.get("/timeline")).headers["location"] == "/sign-in"


async def test_signing_out_ends_the_session_and_clears_the_browser(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        cookies = dict(browser.cookies)
        out = await browser.post("/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert out.headers["clear-site-data"] == '"cache", "storage"'
        assert 'harmline=""' in out.headers["set-cookie"]
    async with world.browser(cookies) as again:
        assert (await again.get("/timeline")).headers["location"] == "/sign-in"


FOREIGN = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"},
)


async def test_no_form_of_another_site_is_taken(world: World) -> None:
    path = await link(world)
    async with await world.sign_in(Role.MEMBER) as browser:
        for headers in FOREIGN:
            for form in ("/sign-in", path, "/sign-out", "/consents"):
                refused = await browser.post(form, headers=headers, data={"email": "a@example.org"})
                assert refused.status_code == 403, (form, headers)
        assert (await browser.get("/timeline")).status_code == 200


async def test_a_form_without_any_sign_of_its_origin_is_refused(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        del browser.headers["sec-fetch-site"]
        assert (await browser.post("/sign-out")).status_code == 403
        assert (await browser.post("/sign-out", headers={"origin": "null"})).status_code == 403
        assert (await browser.post("/sign-out", headers={"origin": "http://localhost:8000"})).status_code == 303
