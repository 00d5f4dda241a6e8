"""When every way in is lost: two things begin a new one, a day passes, the person is told and can stop it, the old ways end."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from app import operations
from app.access.roles import Role
from app.kit import clock
from app.kit.errors import Problem
from app.ledger.service import Act
from tests.access.entering import PASSWORD, code_of, first_passkey, first_password, link, make_passkey, sign, type_in
from tests.access.test_sign_in import Post, mailed
from tests.support.authenticator import Authenticator
from tests.support.world import NOW, World

__all__ = ["mailed"]  # a fixture
A_DAY = timedelta(hours=24)


async def paper_code(browser: httpx.AsyncClient) -> str:
    """Make a recovery code in a session that is fresh."""
    text = (await browser.post("/ways-in/recovery-code", data={})).text
    found = re.search(r'<p class="recovery"><code>([A-Z0-9-]{35})</code>', text)
    assert found, text
    return found[1]


async def prepared(world: World) -> tuple[Authenticator, str]:
    """A member with a passkey and a recovery code."""
    key = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, key)
        return key, await paper_code(browser)


async def begin(world: World, code: str) -> httpx.Response:
    """Open a link and type the code."""
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"
        return await browser.post("/recovery", data={"code": code})


async def test_mail_and_code_begin_anew_after_a_day_and_the_old_ways_end(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    key, code = await prepared(world)
    await world.workers.drain()
    before = len(post.mails)
    assert (await begin(world, f" {code.lower().replace('-', ' ')}")).status_code == 303
    await world.workers.drain()
    told = [mail for to, mail in post.mails[before:]]
    assert [str(mail["Subject"]) for mail in told] == ["Somebody asked to begin anew"]
    clock.set_to(NOW + A_DAY - timedelta(seconds=1))
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"
        assert "Come back tomorrow" in (await browser.get("/recovery")).text
    clock.set_to(NOW + A_DAY)
    async with world.browser() as browser, world.browser() as other:
        await sign(other, key)
        assert (await browser.post(await link(world))).headers["location"] == "/welcome"
        fresh = await make_passkey(browser)
        assert (await browser.get("/v1/me")).status_code == 200
        assert (await other.get("/v1/me")).status_code == 401, "every other session has ended"
    async with world.browser() as browser:
        assert (await sign(browser, key)).status_code == 401
        assert (await sign(browser, fresh)).status_code == 200
    assert (await begin(world, code)).status_code == 422, "the code was spent"
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery", "and so is the recovery"


async def test_the_person_stops_what_somebody_else_began(world: World) -> None:
    key, code = await prepared(world)
    await begin(world, code)
    async with world.browser() as browser:
        await sign(browser, key)
        assert "Somebody said that you lost every way to sign in" in (await browser.get("/ways-in")).text
        assert (await browser.post("/ways-in/stop", data={})).status_code == 303
        assert "Somebody said" not in (await browser.get("/ways-in")).text
    clock.set_to(NOW + A_DAY)
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"


async def test_who_stops_it_ends_a_session_that_was_about_to_use_it(world: World) -> None:
    """Whoever opened the link of a recovery that was ready, and has made nothing yet, makes nothing after it was stopped."""
    key, code = await prepared(world)
    await begin(world, code)
    clock.set_to(NOW + A_DAY)
    async with world.browser() as stranger, world.browser() as own:
        assert (await stranger.post(await link(world))).headers["location"] == "/welcome"
        asked = (await stranger.post("/ways-in/passkeys/options")).json()
        waiting = await link(world)
        await sign(own, key)
        assert (await own.post("/ways-in/stop", data={})).status_code == 303
        made = await stranger.post("/ways-in/passkeys", json=Authenticator().create(asked))
        assert (made.status_code, made.headers["location"]) == (303, "/sign-in")
        assert (await stranger.post(waiting)).status_code == 410, "a link that was sent is no good any more either"
        assert (await own.get("/v1/me")).status_code == 200


async def test_a_recovery_that_nobody_used_for_a_week_is_over(world: World) -> None:
    _, code = await prepared(world)
    await begin(world, code)
    clock.set_to(NOW + A_DAY + timedelta(days=7))
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/recovery"
        assert "You have a way to sign in already" in (await browser.get("/recovery")).text


async def test_a_code_begins_one_recovery_however_many_type_it(world: World) -> None:
    _, code = await prepared(world)
    answers = await asyncio.gather(*(begin(world, code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [422] * 7


async def test_a_code_alone_and_a_wrong_code_begin_nothing(world: World) -> None:
    key, code = await prepared(world)
    async with world.browser() as nobody:
        assert (await nobody.post("/recovery", data={"code": code})).headers["location"] == "/sign-in"
    for wrong in ("", code[:-1], code + "A", "x" * 200, "\x00"):
        assert (await begin(world, wrong)).status_code == 422
    async with world.browser() as browser:
        await sign(browser, key)
        another = await paper_code(browser)
    assert another != code
    assert (await begin(world, code)).status_code == 422, "a newer code ends the one before"


async def test_somebody_who_vouches_begins_it_too_and_is_named(world: World) -> None:
    key = await first_passkey(world)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post("/admin/recovery", data={"who": "M-1"})).status_code == 200
        assert (await admin.post("/admin/recovery", data={"who": "M-9"})).status_code == 422
        assert (await admin.post("/admin/recovery", data={"who": ""})).status_code == 422
        assert (await admin.post("/admin/recovery", data={"who": "staff@union.example"})).status_code == 200
        assert (
            "Counsel is let back in by counsel"
            in (await admin.post("/admin/recovery", data={"who": "counsel@union.example"})).text
        )
        assert "Somebody else must vouch" in (await admin.post("/admin/recovery", data={"who": "admin@union.example"})).text
    async with await world.sign_in(Role.AUDITOR) as auditor:
        entries = (await auditor.get("/v1/ledger")).json()["items"]
    own = [
        one for one in entries if one["kind"] == Act.KEY and one["subjects"].get("account") == str(world.union.accounts["M-1"])
    ]
    assert [one["actor_id"] for one in own] == [str(world.union.accounts[Role.ADMIN])]
    clock.set_to(NOW + A_DAY)
    async with world.browser() as browser:
        assert (await browser.post(await link(world))).headers["location"] == "/welcome"
        await make_passkey(browser)
        assert (await sign(browser, key)).status_code == 401


async def test_counsel_is_let_back_in_by_counsel_alone(world: World) -> None:
    async with await world.sign_in(Role.COUNSEL) as counsel:
        made = await counsel.post("/v1/accounts", json={"email": "second@example.org", "role": "counsel"})
        assert made.status_code == 201, made.text
        second = made.json()["account_id"]
        staff = world.union.accounts[Role.STAFF]
        assert (await counsel.post(f"/v1/accounts/{staff}/recovery")).status_code == 403
        begun = await counsel.post(f"/v1/accounts/{second}/recovery")
        assert (begun.status_code, begun.json()["account_id"]) == (202, second)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/accounts/{second}/recovery")).status_code == 403


@pytest.mark.parametrize("by", ["passkey", "password"])
async def test_a_recovery_ends_a_password_as_well(world: World, by: str) -> None:
    secret = await first_password(world)
    async with await world.sign_in(Role.ADMIN) as admin:
        member = world.union.members["M-1"]
        assert (await admin.post(f"/v1/members/{member}/recovery")).status_code == 202
    clock.set_to(NOW + A_DAY)
    async with world.browser() as browser:
        await browser.post(await link(world))
        if by == "passkey":
            await make_passkey(browser)
        else:
            other = PASSWORD + " anew"
            assert (await browser.post("/ways-in/password", data={"password": other, "again": other})).status_code == 303
            text = (await browser.get("/ways-in/password/code")).text
            new = text.partition("Type this into the app</summary><p><code>")[2].partition("<")[0]
            assert (await browser.post("/ways-in/password/code", data={"code": code_of(new)})).status_code == 303
    clock.set_to(NOW + A_DAY + timedelta(seconds=30))
    async with world.browser() as browser:
        assert (await type_in(browser, "avery@example.org", PASSWORD, code_of(secret))).status_code == 401


async def test_every_change_of_the_ways_in_is_told_by_mail_without_saying_what_harmline_holds(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    await first_passkey(world)
    await world.workers.drain()
    (told,) = [mail for _, mail in post.mails if mail["Subject"] == "How you sign in was changed"]
    for word in ("Avery", "M-1", "Union", "incident", "alert", "breach"):
        assert word not in told.get_content()


async def test_the_last_admin_is_let_back_in_from_the_machine_itself(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world, Role.ADMIN, Role.ADMIN))
        await make_passkey(browser)
        await make_passkey(browser)
    begun = await operations.let_back_in(world.context, world.union.id, "Admin@union.example")
    assert (begun["account"], begun["from"]) == (world.union.accounts[Role.ADMIN], NOW + A_DAY)
    async with world.browser() as browser:
        assert (await browser.post(await link(world, Role.ADMIN, Role.ADMIN))).headers["location"] == "/recovery"
    clock.set_to(NOW + A_DAY)
    async with world.browser() as browser:
        assert (await browser.post(await link(world, Role.ADMIN, Role.ADMIN))).headers["location"] == "/welcome"
    for address in ("nobody@example.org", "avery@example.org"):
        with pytest.raises(Problem, match="Nobody in this organization"):
            await operations.let_back_in(world.context, world.union.id, address)
