"""How far the organization's own sign-in lets in, for how long, how it is linked by hand, and what ends it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.access import providers
from app.access.models import Account, IdentityProvider, ProviderLink, Session
from app.access.roles import Role
from app.kit import clock
from app.ledger.models import Deletion, LedgerEntry
from app.ledger.service import Act
from tests.access.entering import first_passkey, make_passkey, session_of, sign
from tests.access.fake_provider import (
    Connected,
    letters,
    rows,
    signed_in,
    staff_in,
    wanted,
)
from tests.access.scene import Scene
from tests.support.world import NOW, World

MINUTE = timedelta(minutes=1)


async def test_each_role_gets_the_same_standing_as_by_a_passkey(own: Connected) -> None:
    homes = {Role.STAFF: "/statistics", Role.CASEWORKER: "/queues", Role.AUDITOR: "/ledger"}
    for role, home in homes.items():
        async with own.world.browser() as browser:
            answer = await own.sign_in(browser, f"subject of {role}", email=f"{role}@union.example")
            assert answer.headers["location"] == home
            assert (await browser.get(home)).status_code == 200
            token = {"label": "x", "scopes": ["account"], "days": 1}
            assert (await browser.post("/v1/tokens", json=token)).status_code == 201, "they have just shown who they are"


async def test_who_showed_themselves_long_ago_or_who_knows_when_shows_it_anew(own: Connected) -> None:
    token, long_ago = {"label": "x", "scopes": ["account"], "days": 1}, int((NOW - 6 * MINUTE).timestamp())
    for said in (long_ago, None, "now", True, -5):
        async with own.world.browser() as browser:
            assert (await own.sign_in(browser, auth_time=said)).status_code == 303
            assert (await browser.get("/v1/me")).status_code == 200
            assert (await browser.post("/v1/tokens", json=token)).status_code == 403, said


async def test_an_admin_has_it_as_one_way_and_a_passkey_as_the_other(own: Connected) -> None:
    world = own.world
    async with world.browser() as browser:
        answer = await own.sign_in(browser, "the admin", email="admin@union.example")
        assert answer.headers["location"] == "/welcome"
        assert (await browser.get("/v1/connections")).status_code == 403
        assert "A passkey beside it" in (await browser.get("/welcome")).text
        key = await make_passkey(browser)
        assert (await browser.get("/v1/connections")).status_code == 200
        await browser.post("/sign-out")
        assert (await own.sign_in(browser, "the admin")).headers["location"] == "/admin"
        await browser.post("/sign-out")
        assert (await sign(browser, key)).json() == {"to": "/admin"}
        assert (await browser.post("/ways-in/remove", data={"which": "provider"})).status_code == 409, "both are needed"
        assert (await browser.post("/v1/identity-provider/off")).status_code == 200
        await browser.post("/sign-out")
        assert (await sign(browser, key)).json() == {"to": "/welcome"}, "one is left, and needs another beside it"


async def test_what_ends_it_ends_the_sessions_that_came_by_it_and_no_others(own: Connected) -> None:
    world = own.world
    ends = {
        "switched off": lambda admin: admin.post("/v1/identity-provider/off"),
        "other domains": lambda admin: admin.post(
            "/v1/identity-provider", json=wanted(own.provider, domains=["union.example", "more.example"])
        ),
        "another client": lambda admin: admin.post("/v1/identity-provider", json=wanted(own.provider, client_id="another")),
        "removed": lambda admin: admin.delete("/v1/identity-provider"),
    }
    for what, end in ends.items():
        async with await world.sign_in(Role.ADMIN) as admin, await world.sign_in(Role.STAFF) as otherwise:
            if what == "another client":
                assert (await admin.post("/v1/identity-provider/on")).status_code == 200
            own.id = (await admin.post("/v1/identity-provider", json=wanted(own.provider))).json()["id"]
            await admin.post("/v1/identity-provider/on")
            async with world.browser() as browser:
                await staff_in(own, browser)
                assert (await end(admin)).status_code in (200, 204), what
                assert (await browser.get("/v1/me")).status_code == 401, what
                assert (await otherwise.get("/v1/me")).status_code == 200, what
    async with world.browser() as browser:
        assert (await browser.get(f"/sign-in/with/{own.id}")).status_code == 404
        assert (await browser.get(f"/sign-in/with/{own.id}/go")).status_code == 404
    assert {row.secret_sealed for row in await secrets(world) if row.removed_at} == {None}
    assert await rows(world, ProviderLink) == []
    gone = [one.subjects["provider"] for one in await rows(world, Deletion) if one.what == "provider"]
    assert own.id in gone


async def secrets(world: World) -> list[Any]:
    async with world.context.database.begin(read_only=True) as tx:
        table = IdentityProvider.__table__
        return list((await tx.execute(select(table.c.secret_sealed, table.c.removed_at))).all())


async def test_another_secret_signs_nobody_out_and_is_the_one_that_is_used(own: Connected) -> None:
    async with await own.world.sign_in(Role.ADMIN) as admin, own.world.browser() as browser:
        await staff_in(own, browser)
        assert (await admin.post("/v1/identity-provider", json=wanted(own.provider, client_secret="old"))).status_code == 200
        assert (await browser.get("/v1/me")).status_code == 200
        await browser.post("/sign-out")
        assert (await own.sign_in(browser)).status_code == 403, "the provider does not know this secret"
        kept = {name: value for name, value in wanted(own.provider).items() if name != "client_secret"}
        assert (await admin.post("/v1/identity-provider", json=wanted(own.provider))).status_code == 200
        assert (await admin.post("/v1/identity-provider", json=kept)).status_code == 200
        assert (await own.sign_in(browser)).status_code == 303, "left out, the one that is there stays"


async def test_a_sign_in_under_way_when_it_is_switched_off_opens_nothing(own: Connected) -> None:
    async with await own.world.sign_in(Role.ADMIN) as admin, own.world.browser() as browser:
        await staff_in(own, browser)
        await browser.post("/sign-out")
        asked = await own.go(browser)
        await admin.post("/v1/identity-provider/off")
        assert (await own.back(browser, asked, own.provider.code(asked))).status_code == 410

        async def off(_request: Any) -> Any:
            await admin.post("/v1/identity-provider/off")
            del own.provider.instead["/jwks"]
            return await own.provider.answer(_request)

        await admin.post("/v1/identity-provider/on")
        own.provider.instead["/jwks"] = off
        answer = await own.sign_in(browser)
        assert (answer.status_code, signed_in(own.world, browser)) == (403, False)


@pytest.mark.long
@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)  # SQLite has one writer: nobody else is in the middle
async def test_switching_off_waits_for_who_is_just_coming_in_and_signs_them_out_too(own: Connected) -> None:
    world = own.world
    row = select(Account.id).where(Account.id == world.union.accounts[Role.STAFF])
    async with await world.sign_in(Role.ADMIN) as admin, world.browser() as browser:
        async with world.context.database.begin() as tx:
            await tx.execute(row.with_for_update())  # whoever comes in waits here, before their session is written
            coming = asyncio.create_task(own.sign_in(browser))
            done, _ = await asyncio.wait({coming}, timeout=1.5)
            assert not done
            off = asyncio.create_task(admin.post("/v1/identity-provider/off"))
            done, _ = await asyncio.wait({off}, timeout=0.5)
            assert not done
        assert ((await coming).status_code, (await off).status_code) == (303, 200)
        assert signed_in(world, browser)
        assert (await browser.get("/v1/me")).status_code == 401


async def test_an_account_that_loses_its_role_is_out(own: Connected) -> None:
    world = own.world
    async with await world.sign_in(Role.ADMIN) as admin, world.browser() as browser:
        await staff_in(own, browser)
        taken = await admin.delete(f"/v1/accounts/{world.union.accounts[Role.STAFF]}/roles/staff")
        assert taken.status_code == 204
        assert (await browser.get("/v1/me")).status_code == 401
        assert (await own.sign_in(browser)).status_code == 403


async def test_a_link_that_its_person_removed_is_made_again_by_them_alone(own: Connected) -> None:
    world = own.world
    key = await first_passkey(world, Role.STAFF, Role.STAFF)
    async with world.browser() as browser, world.browser() as by_provider:
        await staff_in(own, by_provider)
        await sign(browser, key)
        assert (await browser.post("/ways-in/remove", data={"which": "provider"})).status_code == 303
        assert (await by_provider.get("/v1/me")).status_code == 401
        (link,) = await rows(world, ProviderLink)
        assert (link.subject_index, link.removed_at) == (None, NOW)
        assert (await own.sign_in(by_provider)).status_code == 403
        asked = await own.go(browser, "/ways-in/provider")
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")
        answer = await own.back(browser, asked, own.provider.code(asked, "another subject", email=None))
        assert (answer.status_code, answer.headers["location"]) == (303, "/ways-in")
        assert (await own.sign_in(by_provider, "another subject")).status_code == 303
    (link,) = await rows(world, ProviderLink)
    assert link.by_person


async def test_counsel_links_it_by_hand_and_the_provider_by_itself_opens_nothing_of_counsels(own: Connected) -> None:
    world = own.world
    key = await first_passkey(world, Role.COUNSEL, Role.COUNSEL)
    async with world.browser() as browser, world.browser() as later:
        await sign(browser, key)
        asked = await own.go(browser, "/ways-in/provider")
        assert (await own.back(browser, asked, own.provider.code(asked, "of counsel", email=None))).status_code == 303
        assert (await own.sign_in(later, "of counsel")).headers["location"] == "/matters"
        assert (await later.get("/v1/me")).json()["role"] == "counsel"


async def test_who_becomes_counsel_later_is_not_counsel_by_a_link_of_before(own: Connected) -> None:
    world = own.world
    async with world.browser() as browser, await world.sign_in(Role.COUNSEL) as counsel:
        await staff_in(own, browser)
        answer = await counsel.post("/v1/accounts", json={"email": "staff@union.example", "role": "counsel"})
        assert answer.status_code == 201, answer.text
        assert (await browser.get("/v1/me")).status_code == 401
        assert (await own.sign_in(browser)).status_code == 403


async def test_a_session_that_came_by_it_does_not_vouch_for_another_link(own: Connected) -> None:
    async with own.world.browser() as browser:
        await staff_in(own, browser)
        await own.world.workers.drain()
        async with own.world.context.database.begin() as tx:
            await tx.execute(ProviderLink.__table__.delete())
        assert (await browser.get("/ways-in/provider")).status_code == 409


async def test_members_have_nothing_to_do_with_it(own: Connected) -> None:
    async with await own.world.sign_in(Role.MEMBER) as member:
        for path in ("/ways-in", "/confirm"):
            assert (await member.get(f"{path}/provider")).headers["location"] == path
        for path in ("/ways-in", "/confirm"):
            assert "organization's sign-in" not in (await member.get(path)).text.replace("&#39;", "'")


async def test_it_shows_anew_that_it_is_you(own: Connected) -> None:
    world, token = own.world, {"label": "x", "scopes": ["account"], "days": 1}
    async with world.browser() as browser:
        await staff_in(own, browser)
        clock.set_to(NOW + 6 * MINUTE)
        assert (await browser.post("/v1/tokens", json=token)).status_code == 403
        assert "/confirm/provider?then=/ways-in" in (await browser.post("/ways-in/recovery-code", data={"a": "b"})).text
        before = session_of(world, browser)
        asked = await own.go(browser, "/confirm/provider?then=/ways-in")
        assert (asked["prompt"], asked["max_age"]) == ("login", "0")
        answer = await own.back(browser, asked, own.provider.code(asked))
        assert (answer.status_code, answer.headers["location"]) == (303, "/ways-in"), answer.text
        assert (await browser.post("/v1/tokens", json=token)).status_code == 201
        assert session_of(world, browser) != before
        async with world.browser(before) as old:
            assert (await old.get("/v1/me")).status_code == 401


@pytest.mark.parametrize(
    "lie",
    [
        {"auth_time": int(NOW.timestamp())},
        {"auth_time": None},
        {"auth_time": "1686000000"},
        {"subject": "subject-2"},
        {"auth_time": int((NOW + 60 * MINUTE).timestamp())},
    ],
    ids=["shown long ago", "not said when", "said in words", "another person", "shown in the future"],
)
async def test_what_does_not_show_it_anew(own: Connected, lie: dict[str, Any]) -> None:
    async with own.world.browser() as browser:
        await staff_in(own, browser)
        clock.set_to(NOW + 6 * MINUTE)
        asked = await own.go(browser, "/confirm/provider")
        assert (await own.back(browser, asked, own.provider.code(asked, **lie))).status_code == 403
        assert (await browser.post("/ways-in/recovery-code", data={})).status_code == 403


async def test_showing_anew_is_for_the_session_that_asked(own: Connected) -> None:
    async with own.world.browser() as browser:
        await staff_in(own, browser)
        asked = await own.go(browser, "/confirm/provider")
        await browser.post("/sign-out")
        assert (await own.back(browser, asked, own.provider.code(asked))).status_code == 410, "nobody is signed in"
        provider = browser.cookies
    async with own.world.browser() as browser:
        await staff_in(own, browser)
        asked = await own.go(browser, "/confirm/provider")
        provider = {name: value for name, value in browser.cookies.items() if name.endswith("-provider")}
    async with await own.world.sign_in(Role.STAFF) as other:
        other.cookies.update(provider)
        assert (await own.back(other, asked, own.provider.code(asked))).status_code == 410, "another session"


async def test_nobody_is_led_away_from_here_afterwards(own: Connected) -> None:
    async with own.world.browser() as browser:
        await staff_in(own, browser)
        for there in ("https://evil.example", "//evil.example", "/\\evil.example"):
            asked = await own.go(browser, f"/confirm/provider?then={there}")
            assert (await own.back(browser, asked, own.provider.code(asked))).headers["location"] == "/"


async def test_after_a_new_beginning_the_link_of_before_is_no_more(own: Connected) -> None:
    world = own.world
    async with world.browser() as browser:
        await staff_in(own, browser)
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/accounts/{world.union.accounts[Role.STAFF]}/recovery")).status_code == 202
    clock.set_to(NOW + timedelta(hours=25))
    await first_passkey(world, Role.STAFF, Role.STAFF)
    assert await rows(world, ProviderLink) == []


async def test_a_restored_backup_does_not_bring_back_what_was_removed(own: Connected) -> None:
    world = own.world
    async with world.context.database.begin() as tx:
        row = (await tx.execute(select(IdentityProvider))).scalar_one()
        await providers.remove_again(tx, world.context.keyring, world.other.id, row.id)
        assert row.removed_at is None
        await providers.remove_again(tx, world.context.keyring, world.union.id, row.id)
        assert row.removed_at == NOW
    async with world.browser() as browser:
        assert (await browser.get(f"/sign-in/with/{own.id}")).status_code == 404


async def test_admins_and_counsel_hear_of_it(own: Connected) -> None:
    world = own.world
    second = await Scene(world).staff_account(Role.ADMIN)
    async with await world.sign_in(Role.ADMIN) as admin:
        await admin.post("/v1/identity-provider/off")
    assert await letters(world, "access.provider") == {second, world.union.accounts[Role.COUNSEL]}
    changes = [one for one in await rows(world, LedgerEntry) if one.kind == Act.KEY and "provider" in one.subjects]
    assert {(one.subjects["provider"], one.actor_role) for one in changes} == {(own.id, Role.ADMIN)}
    assert len(changes) == 2


async def test_two_first_sign_ins_of_one_person_make_one_link(own: Connected) -> None:
    async with own.world.browser() as one, own.world.browser() as two:
        asked = [await own.go(browser) for browser in (one, two)]
        answers = [
            await own.back(browser, question, own.provider.code(question))
            for browser, question in zip((one, two), asked, strict=True)
        ]
    assert [answer.status_code for answer in answers] == [303, 303]
    async with own.world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(ProviderLink))).scalar_one() == 1
        came = select(func.count()).select_from(Session).where(Session.provider_id.is_not(None))
        assert (await tx.execute(came)).scalar_one() == 2
