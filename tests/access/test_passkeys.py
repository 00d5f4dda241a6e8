"""Passkeys: the first by a link, then no link signs in any more; every lie that an authenticator or a site tells is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select

from app.access.models import KnownBrowser, Passkey, Password, RecoveryCode, Session, SpentChallenge
from app.access.roles import Role
from app.kit import clock
from app.ledger.models import LedgerEntry
from app.ledger.service import Act
from tests.access.entering import first_passkey, link, make_passkey, session_of, sign
from tests.support.authenticator import PRESENT, Authenticator
from tests.support.world import NOW, World

OTHERS = [role for role in Role if role not in (Role.MEMBER, Role.ADMIN)]


async def test_a_link_lets_a_member_make_a_passkey_and_the_passkey_signs_in(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        assert (await browser.get("/v1/me")).status_code == 403
        key = await make_passkey(browser)
        assert (await browser.get("/v1/me")).json()["role"] == "member"
        await browser.post("/sign-out")
        assert (await browser.get("/v1/me")).status_code == 401
        answer = await sign(browser, key)
        assert (answer.status_code, answer.json()) == (200, {"to": "/timeline"})
        assert (await browser.get("/v1/me")).json()["member_id"] == str(world.union.members["M-1"])


@pytest.mark.parametrize("role", OTHERS)
async def test_others_sign_in_with_one_passkey_and_with_nothing_else(world: World, role: Role) -> None:
    key = await first_passkey(world, role, role)
    async with world.browser() as browser:
        assert (await sign(browser, key)).status_code == 200
        assert (await browser.get("/v1/me")).json()["role"] == role
        assert (await browser.post("/ways-in/password", data={"password": "x" * 30})).status_code == 403
    async with world.browser() as browser:
        assert (await browser.post(await link(world, role, role))).headers["location"] == "/recovery"
        assert (await browser.get("/v1/me")).status_code == 403


async def test_an_admin_needs_two(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world, Role.ADMIN, Role.ADMIN))
        first = await make_passkey(browser)
        assert (await browser.get("/v1/me")).status_code == 403
        assert "One more passkey" in (await browser.get("/welcome")).text
    async with world.browser() as browser:
        assert (await sign(browser, first)).json() == {"to": "/welcome"}
        second = await make_passkey(browser)
        assert (await browser.get("/v1/me")).json()["role"] == "admin"
    for key in (first, second):
        async with world.browser() as browser:
            assert (await sign(browser, key)).json() == {"to": "/admin"}


LIES: dict[str, dict[str, Any]] = {
    "another site": {"origin": "http://localhost.example:8000"},
    "another port": {"origin": "http://localhost:8001"},
    "https": {"origin": "https://localhost:8000"},
    "another relying party": {"rp": "example.org"},
    "nobody verified": {"flags": PRESENT},
    "nobody there": {"flags": 0},
    "another key": {"by": ec.generate_private_key(ec.SECP256R1())},
    "another ceremony": {"kind": "webauthn.create"},
}


@pytest.mark.parametrize("lie", LIES)
async def test_no_lie_signs_in(world: World, lie: str) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        answer = await sign(browser, key, **LIES[lie])
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert (await sign(browser, key)).status_code == 200, "and the truth still does"


async def test_no_lie_makes_a_passkey(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        for lie in ({"origin": "https://example.org"}, {"rp": "example.org"}, {"flags": PRESENT}):
            options = (await browser.post("/ways-in/passkeys/options")).json()
            made: dict[str, Any] = Authenticator().create(options, **lie)  # type: ignore[arg-type]
            assert (await browser.post("/ways-in/passkeys", json=made)).status_code == 422, lie
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(Passkey))).scalar_one() == 0


async def test_an_answer_counts_once_however_many_send_it(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        answer = key.get((await browser.post("/sign-in/passkey/options")).json())
        answers = await asyncio.gather(*(browser.post("/sign-in/passkey", json=answer) for _ in range(8)))
        assert sorted(one.status_code for one in answers) == [200] + [401] * 7


async def test_a_challenge_is_for_one_thing_one_session_and_five_minutes(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser, world.browser() as other:
        to_sign_in = (await browser.post("/sign-in/passkey/options")).json()
        await sign(browser, key)
        assert (await browser.post("/confirm/passkey", json=key.get(to_sign_in))).status_code == 401
        await sign(other, key)
        mine = (await browser.post("/confirm/passkey/options")).json()
        assert (await other.post("/confirm/passkey", json=key.get(mine))).status_code == 401
        assert (await browser.post("/confirm/passkey", json=key.get(mine))).status_code == 200
        invented = {**mine, "challenge": mine["challenge"][:-3] + "AAA"}
        assert (await browser.post("/confirm/passkey", json=key.get(invented))).status_code == 401
        late = (await browser.post("/confirm/passkey/options")).json()
        clock.set_to(NOW + timedelta(minutes=5))
        assert (await browser.post("/confirm/passkey", json=key.get(late))).status_code == 401


async def test_a_copied_key_that_counts_backwards_is_refused(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        for _ in range(3):
            assert (await sign(browser, key)).status_code == 200
        key.count = 1
        assert (await sign(browser, key)).status_code == 401


JUNK = [
    {},
    {"id": 1},
    {"id": "x", "rawId": "x", "type": "public-key", "response": {}},
    {
        "id": "x",
        "rawId": "eA",
        "type": "public-key",
        "response": {"clientDataJSON": "e30", "authenticatorData": "", "signature": ""},
    },
    {"id": "é", "rawId": "é", "type": "public-key", "response": None},
    {"id": "x", "rawId": "eA", "type": "public-key", "response": {"clientDataJSON": "W10", "attestationObject": "oA"}},
]


@pytest.mark.parametrize("sent", JUNK)
async def test_what_is_no_answer_is_refused_in_order(world: World, sent: dict[str, Any]) -> None:
    async with world.browser() as browser:
        assert (await browser.post("/sign-in/passkey", json=sent)).status_code == 401
        await browser.post(await link(world))
        assert (await browser.post("/ways-in/passkeys", json=sent)).status_code == 422


async def test_somebody_elses_passkey_can_be_made_by_nobody_again(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        await browser.post(await link(world, "M-2"))
        options = (await browser.post("/ways-in/passkeys/options")).json()
        copy = Authenticator(credential_id=key.credential_id)
        assert (await browser.post("/ways-in/passkeys", json=copy.create(options))).status_code == 422


async def test_of_two_who_opened_links_only_the_first_to_make_a_way_has_one(world: World) -> None:
    paths = [await link(world), await link(world)]
    async with world.browser() as one, world.browser() as two:
        await one.post(paths[0])
        await two.post(paths[1])
        asked = (await two.post("/ways-in/passkeys/options")).json()
        await make_passkey(one)
        assert (await two.post("/ways-in/passkeys", json=Authenticator().create(asked))).status_code in (303, 401)
        assert (await two.get("/welcome")).headers["location"] == "/sign-in"


async def test_a_session_is_made_anew_with_every_proof_and_the_old_cookie_is_dead(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, key)
        before = session_of(world, browser)
        assert (await sign(browser, key, "/confirm/passkey")).status_code == 200
        assert session_of(world, browser) != before
        assert (await browser.get("/v1/me")).status_code == 200
    async with world.browser(before) as old:
        assert (await old.get("/v1/me")).status_code == 401
    async with world.context.database.begin(read_only=True) as tx:
        open_ones = select(func.count()).select_from(Session).where(Session.ended_at.is_(None))
        assert (await tx.execute(open_ones)).scalar_one() == 2


async def test_the_last_way_in_cannot_be_removed_and_a_removed_one_is_no_good(world: World) -> None:
    first = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, first)
        async with world.context.database.begin(read_only=True) as tx:
            (known,) = (await tx.execute(select(Passkey.id))).scalars()
        assert (await browser.post("/ways-in/remove", data={"which": str(known)})).status_code == 409
        second = await make_passkey(browser)
        assert (await browser.post("/ways-in/remove", data={"which": str(known)})).status_code == 303
        assert (await browser.post("/ways-in/remove", data={"which": "nonsense"})).status_code == 422
    async with world.browser() as browser:
        assert (await sign(browser, first)).status_code == 401
        assert (await sign(browser, second)).status_code == 200


async def test_what_a_passkey_is_on_is_chosen_and_nothing_typed_is_kept(world: World) -> None:
    async with world.browser() as browser:
        await browser.post(await link(world))
        await make_passkey(browser)
        for typed in ("Avery's own phone", 7, None, ["phone"], "\x00"):
            options = (await browser.post("/ways-in/passkeys/options")).json()
            made = {**Authenticator().create(options), "label": typed}
            assert (await browser.post("/ways-in/passkeys", json=made)).status_code == 200
        assert "Avery" not in (await browser.get("/ways-in")).text
    async with world.context.database.begin(read_only=True) as tx:
        kept = (await tx.execute(select(Passkey.label).order_by(Passkey.id))).scalars().all()
    assert kept == ["phone", *["other"] * 5]


async def test_a_removed_way_takes_along_every_other_session(world: World) -> None:
    """Whoever removes a key that was stolen wants whoever stole it out."""
    first = await first_passkey(world)
    async with world.browser() as thief, world.browser() as own:
        await sign(thief, first)
        await sign(own, first)
        await make_passkey(own)
        async with world.context.database.begin(read_only=True) as tx:
            stolen = (await tx.execute(select(Passkey.id).order_by(Passkey.id))).scalars().first()
        assert (await own.post("/ways-in/remove", data={"which": str(stolen)})).status_code == 303
        assert (await thief.get("/v1/me")).status_code == 401
        assert (await own.get("/v1/me")).status_code == 200


async def test_a_password_that_is_not_there_is_not_removed(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, key)
        await make_passkey(browser)
        assert (await browser.post("/ways-in/remove", data={"which": "password"})).status_code == 404


async def test_nobody_removes_what_is_somebody_elses(world: World) -> None:
    await first_passkey(world, "M-2")
    async with world.context.database.begin(read_only=True) as tx:
        (theirs,) = (await tx.execute(select(Passkey.id))).scalars()
    key = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, key)
        await make_passkey(browser)
        assert (await browser.post("/ways-in/remove", data={"which": str(theirs)})).status_code == 404


async def test_what_matters_is_done_after_a_fresh_proof_and_nothing_that_was_typed_is_lost(world: World) -> None:
    world.union.accounts["A"] = world.union.accounts[Role.ADMIN]
    async with world.browser() as browser:
        await browser.post(await link(world, "A", Role.ADMIN))
        key = await make_passkey(browser)
        await make_passkey(browser)
        clock.set_to(NOW + timedelta(minutes=6))
        typed = {"email": "new@example.org", "role": "staff"}
        asked = await browser.post("/admin/people", data=typed)
        assert asked.status_code == 403
        assert '<form id="again" method="post" action="/admin/people">' in asked.text
        assert '<input type="hidden" name="email" value="new@example.org">' in asked.text
        assert len((await browser.get("/v1/accounts")).json()) == 5, "nothing has been done yet"
        assert (await sign(browser, key, "/confirm/passkey")).json() == {"to": None}
        assert (await browser.post("/admin/people", data=typed)).status_code == 303
        assert len((await browser.get("/v1/accounts")).json()) == 6


async def test_somebody_elses_passkey_confirms_nothing(world: World) -> None:
    mine, theirs = await first_passkey(world), await first_passkey(world, "M-2")
    async with world.browser() as browser:
        await sign(browser, mine)
        assert (await sign(browser, theirs, "/confirm/passkey")).status_code == 401


async def test_confirming_leads_nowhere_else(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        for path in ("https://example.org", "//example.org", "/\\example.org", "javascript:alert(1)"):
            text = (await browser.get("/confirm", params={"then": path})).text
            assert "example.org" not in text
            assert "alert(1)" not in text
        assert 'data-then="/timeline"' in (await browser.get("/confirm", params={"then": "/timeline"})).text


async def test_somebody_with_two_roles_chooses_and_the_choice_proves_nothing_anew(world: World) -> None:
    context = world.context
    from_staff = world.union.accounts[Role.STAFF]
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post("/v1/accounts", json={"email": "staff@union.example", "role": "auditor"})).status_code == 201
    key = await first_passkey(world, Role.STAFF, Role.STAFF)
    async with world.browser() as browser:
        assert (await sign(browser, key)).json() == {"to": "/ways-in#roles"}
        clock.set_to(NOW + timedelta(minutes=6))
        assert (await browser.post("/sign-in/role", data={"role": "admin"})).status_code == 422
        before = session_of(world, browser)
        assert (await browser.post("/sign-in/role", data={"role": "auditor"})).headers["location"] == "/ledger"
        assert (await browser.get("/v1/me")).json() | {"organization_id": ""} == {
            "organization_id": "",
            "account_id": str(from_staff),
            "role": "auditor",
            "member_id": None,
        }
        assert (await browser.post("/v1/tokens", json={"label": "x", "scopes": ["account"]})).status_code == 403
    async with world.browser(before) as old:
        assert (await old.get("/v1/me")).status_code == 401
    async with context.database.begin(read_only=True) as tx:
        entries = select(LedgerEntry).where(LedgerEntry.kind == Act.SIGN_IN, LedgerEntry.actor_id == from_staff)
        assert len((await tx.execute(entries)).scalars().all()) == 3


async def test_spent_challenges_are_forgotten_when_they_are_too_old_anyway(world: World) -> None:
    await first_passkey(world)
    clock.set_to(NOW + timedelta(minutes=6))
    await world.workers.sweep()
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(SpentChallenge))).scalar_one() == 0


async def test_an_erasure_takes_every_way_in_along(world: World) -> None:
    key = await first_passkey(world)
    async with world.browser() as browser:
        await sign(browser, key)
        assert (await browser.post("/ways-in/recovery-code", data={})).status_code == 200
    async with await world.sign_in(Role.ADMIN) as admin:
        assert (await admin.post(f"/v1/members/{world.union.members['M-1']}/erasure")).status_code == 204
    async with world.context.database.begin(read_only=True) as tx:
        for table in (Passkey, Password, KnownBrowser, RecoveryCode):
            assert (await tx.execute(select(func.count()).select_from(table))).scalar_one() == 0, table
    async with world.browser() as browser:
        assert (await sign(browser, key)).status_code == 401
