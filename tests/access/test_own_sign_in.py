"""The organization's own sign-in, from end to end over real HTTP: who comes in, who does not, and what ends it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from app.access import service as access
from app.access.gate import cookie_name
from app.access.models import Account, IdentityProvider, ProviderLink
from app.access.roles import Role
from app.kit import clock
from app.kit.letters import Letter
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from tests.access.fake_provider import (
    CLIENT,
    Connected,
    connect,
    letters,
    rows,
    serving,
    signed_in,
    staff_in,
)
from tests.access.scene import Scene
from tests.support.world import NOW, Filled, World, make_world

MINUTE = timedelta(minutes=1)


async def test_staff_come_in_by_it_and_their_link_holds_nothing_in_plain(own: Connected) -> None:
    world = own.world
    async with world.browser() as browser:
        page = await browser.get(f"/sign-in/with/{own.id}")
        assert urlsplit(own.provider.issuer).netloc in page.text
        assert f"/sign-in/with/{own.id}/go" in page.text
        answer = await own.sign_in(browser, subject="a very own subject")
        assert (answer.status_code, answer.headers["location"]) == (303, "/statistics"), answer.text
        assert (await browser.get("/v1/me")).json()["role"] == "staff"
        assert (await browser.get("/statistics")).status_code == 200
        assert (await browser.get(f"/sign-in/with/{own.id}")).status_code == 303
        listed = (await browser.get("/ways-in")).text
        assert "Your organization's sign-in" in listed.replace("&#39;", "'")
        assert (await browser.post("/sign-out")).status_code == 303
        assert (await browser.get("/v1/me")).status_code == 401
    (link,) = await rows(world, ProviderLink)
    assert (link.account_id, link.by_person) == (world.union.accounts[Role.STAFF], False)
    assert len(link.subject_index) == 32
    assert b"subject" not in link.subject_index
    assert await letters(world, "access.changed") == {world.union.accounts[Role.STAFF]}
    entries = [one for one in await rows(world, LedgerEntry) if one.kind == Act.KEY and one.actor_role == Role.STAFF]
    assert [one.subjects["way"] for one in entries] == [own.id]


async def test_the_question_is_the_one_of_the_standard(own: Connected) -> None:
    async with own.world.browser() as browser:
        first, second = await own.go(browser), await own.go(browser)
    assert {name: first[name] for name in ("response_type", "client_id", "scope", "code_challenge_method")} == {
        "response_type": "code",
        "client_id": CLIENT,
        "scope": "openid email",
        "code_challenge_method": "S256",
    }
    assert first["redirect_uri"] == "http://localhost:8000/sign-in/provider/callback"
    assert not {"prompt", "max_age"} & set(first)
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43
        assert first[name] != second[name]


async def test_the_second_time_it_is_the_subject_that_counts_and_no_letter_is_sent(own: Connected) -> None:
    async with own.world.browser() as browser:
        await own.sign_in(browser)
        await browser.post("/sign-out")
        answer = await own.sign_in(browser, email="somebody.else@elsewhere.example", email_verified=None)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/statistics"), answer.text
    assert len([one for one in await rows(own.world, Letter) if one.kind == "access.changed"]) == 1


async def test_another_subject_with_the_same_address_is_refused(own: Connected) -> None:
    async with own.world.browser() as browser:
        await own.sign_in(browser)
    async with own.world.browser() as browser:
        answer = await own.sign_in(browser, subject="subject-2")
        assert (answer.status_code, signed_in(own.world, browser)) == (403, False)
    assert len(await rows(own.world, ProviderLink)) == 1


async def test_a_provider_that_says_the_address_elsewhere_is_asked_there(world: World) -> None:
    async with serving() as provider:
        provider.description = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
        own, right = await connect(world, provider), {"sub": "subject-1", "email": "staff@union.example", "email_verified": True}
        for said, status in (
            ({**right, "sub": "another"}, 403),
            ({**right, "email_verified": "yes"}, 403),
            ([], 503),
            (right, 303),
        ):
            provider.userinfo["Bearer x"] = said
            async with world.browser() as browser:
                assert (await own.sign_in(browser, email=None, email_verified=None)).status_code == status, said
        provider.asked.clear()
        async with world.browser() as browser:
            assert (await own.sign_in(browser)).status_code == 303
        assert "/userinfo" not in provider.asked, "where the token says it, nobody asks again"


async def somebody(world: World, email: str, role: Role = Role.STAFF) -> Account:
    async with world.context.database.begin() as tx:
        account = await access.create_account(tx, world.context.keyring, world.union.id, email)
        await access.grant_role(tx, world.context.keyring, account, role)
    return account


NOT_LET_IN: dict[str, dict[str, Any]] = {
    "an address that is not verified": {"email_verified": False},
    "verified in words": {"email_verified": "true"},
    "of which it is not said": {"email_verified": None},
    "no address": {"email": None},
    "a member's address": {"email": "avery@example.org"},
    "another organization's": {"email": "staff@other.example"},
    "a domain that is not allowed": {"email": "staff@elsewhere.example"},
    "the defendant's domain": {"email": "staff@oaklandca.gov"},
    "nobody's": {"email": "nobody@union.example"},
    "nearly somebody's": {"email": "staff@union.example.org"},
    "with a letter that only looks like it": {"email": "kim@union.example".replace("k", "\u212a")},
    "counsel's, the first time": {"email": "counsel@union.example"},
    "a role that was taken": {"email": "auditor@union.example"},
}


@pytest.mark.parametrize("who", NOT_LET_IN)
async def test_who_is_not_let_in_learns_nothing_and_leaves_nothing(world: World, who: str) -> None:
    async with serving() as provider:
        own = await connect(world, provider, domains=["union.example", "example.org", "other.example"])
        for address in ("staff@elsewhere.example", "staff@oaklandca.gov", "kim@union.example"):
            await somebody(world, address)
        async with world.context.database.begin() as tx:
            row = (await tx.execute(select(IdentityProvider))).scalar_one()
            row.domains = [*row.domains, "oaklandca.gov"]
            caller = await Scene(world).principal(Role.ADMIN)
            await access.revoke_role(tx, world.context.keyring, caller, world.union.accounts[Role.AUDITOR], Role.AUDITOR)
        before = await Scene(world).digest()
        async with world.browser() as browser:
            answer = await own.sign_in(browser, **NOT_LET_IN[who])
            assert (answer.status_code, signed_in(world, browser)) == (403, False)
        after = await Scene(world).digest()
        assert [name for name in after if after[name] != before[name]] == ["spent_challenge"]
        async with world.browser() as browser:
            stranger = await own.sign_in(browser, email="stranger@nowhere.example")
        assert answer.text == stranger.text


async def test_who_is_named_may_come_whatever_their_domain(world: World) -> None:
    account = await somebody(world, "pat@elsewhere.example", Role.CASEWORKER)
    async with serving() as provider:
        own = await connect(world, provider, domains=[], accounts=[str(account.id)])
        async with world.browser() as browser:
            assert (await own.sign_in(browser)).status_code == 403, "staff of the union's domain, who is not named"
            assert (await own.sign_in(browser, "s-2", email="Pat@Elsewhere.example")).headers["location"] == "/queues"


async def test_a_browser_that_did_not_go_cannot_come_back(own: Connected) -> None:
    async with own.world.browser() as browser, own.world.browser() as other:
        asked = await own.go(browser)
        code = own.provider.code(asked)
        assert (await own.back(other, asked, code)).status_code == 410, "without any cookie"
        await own.go(other)
        assert (await own.back(other, asked, code)).status_code == 410, "with one of its own"
        assert own.provider.asked.count("/token") == 0
        assert (await own.back(browser, asked, code)).status_code == 303


async def test_a_state_counts_once(own: Connected) -> None:
    async with own.world.browser() as browser:
        asked = await own.go(browser)
        cookies = dict(browser.cookies)
        assert (await own.back(browser, asked, own.provider.code(asked))).status_code == 303
    async with own.world.browser(cookies) as browser:
        answer = await own.back(browser, asked, own.provider.code(asked))
        assert (answer.status_code, signed_in(own.world, browser)) == (410, False)
    assert own.provider.asked.count("/token") == 1


@pytest.mark.parametrize(("age", "status"), [(10 * MINUTE - timedelta(seconds=1), 303), (10 * MINUTE, 410)])
async def test_a_state_is_good_for_ten_minutes(own: Connected, age: timedelta, status: int) -> None:
    async with own.world.browser() as browser:
        asked = await own.go(browser)
        clock.set_to(NOW + age)
        assert (await own.back(browser, asked, own.provider.code(asked))).status_code == status


async def test_what_the_browser_carries_cannot_be_changed(own: Connected) -> None:
    name = f"{cookie_name(own.world.context.settings)}-provider"
    async with own.world.browser() as browser:
        asked = await own.go(browser)
        purpose, provider_id, secret, then = browser.cookies[name].split(".")
    evil = base64.urlsafe_b64encode(b"/evil").decode().rstrip("=")
    for changed in (
        ("CONFIRM", provider_id, secret, then),
        (purpose, "0" * 32, secret, then),
        (purpose, provider_id, secret[::-1], then),
        (purpose, provider_id, secret, evil),
        (purpose, provider_id, secret),
        ("", "", "", ""),
    ):
        async with own.world.browser({name: ".".join(changed)}) as browser:
            assert (await own.back(browser, asked, own.provider.code(asked))).status_code == 410
    for state in ("", "x", asked["state"][:-1], asked["state"] + "A", "ä"):
        async with own.world.browser({name: f"{purpose}.{provider_id}.{secret}.{then}"}) as browser:
            assert (await own.back(browser, {**asked, "state": state}, "c")).status_code == 410


async def test_a_code_of_another_browser_is_worth_nothing(own: Connected) -> None:
    """Somebody else's code, put into one's own way back: the verifier is another."""
    async with own.world.browser() as browser, own.world.browser() as victim:
        asked, theirs = await own.go(browser), await own.go(victim)
        assert (await own.back(browser, asked, own.provider.code(theirs))).status_code == 403


async def test_who_did_not_finish_is_told_so(own: Connected) -> None:
    async with own.world.browser() as browser:
        asked = await own.go(browser)
        answer = await own.back(browser, asked, "", error="access_denied")
        assert answer.status_code == 403
        assert "did not finish" in answer.text


async def test_another_site_sends_nobody_to_their_provider(own: Connected) -> None:
    async with own.world.browser() as browser:
        for site in ("cross-site", "same-site"):
            answer = await browser.get(f"/sign-in/with/{own.id}/go", headers={"sec-fetch-site": site})
            assert answer.headers["location"] == f"/sign-in/with/{own.id}"
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(("base_url", "name"), [("https://h.example", "__Host-harmline"), ("http://h.example", "harmline")])
async def test_the_cookie_for_the_way_is_flagged_and_gone_afterwards(
    filled_database: tuple[str, Filled], base_url: str, name: str
) -> None:
    async with make_world(*filled_database, base_url=base_url) as world, serving() as provider:
        own = await connect(world, provider)
        async with world.browser() as browser:
            (made,) = (await browser.get(f"/sign-in/with/{own.id}/go")).headers.get_list("set-cookie")
            (gone,) = (await browser.get("/sign-in/provider/callback")).headers.get_list("set-cookie")
    secure = {"secure"} if base_url.startswith("https") else set()
    flags = {part.strip().lower() for part in made.split(";")[1:]}
    assert made.startswith(f"{name}-provider=")
    assert flags == {"httponly", "path=/", "samesite=lax", "max-age=600"} | secure
    assert gone.startswith(f'{name}-provider="";')
    assert "Max-Age=0" in gone


async def test_the_sign_in_page_does_not_say_who_has_one(world: World) -> None:
    async with world.browser() as browser:
        before = await browser.get("/sign-in")
        asked = await browser.post("/sign-in", data={"email": "staff@union.example"})
        async with serving() as provider:
            own = await connect(world, provider)
            async with world.browser() as other:
                await staff_in(own, other)
            assert (await browser.get("/sign-in")).text == before.text
            again = await browser.post("/sign-in", data={"email": "staff@union.example"})
            nobody = await browser.post("/sign-in", data={"email": "nobody@union.example"})
    assert asked.text == again.text == nobody.text
