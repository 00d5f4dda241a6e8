"""Signing in by a one-time link that real SMTP brings, what spends it, how long a session lasts, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from app.access import mailing
from app.access import service as access
from app.access.gate import cookie_name
from app.access.models import Session, SignInLink
from app.access.roles import Role
from app.kit import clock
from app.kit.config import Settings
from app.kit.crypto import token_hash
from app.kit.letters import Letter
from app.kit.outbox import Failure, Message
from tests.access.scene import Scene
from tests.support.mail_server import Post, mail_server
from tests.support.world import NOW, Filled, World, make_world


@pytest.fixture
async def mailed(filled_database: tuple[str, Filled]) -> AsyncIterator[tuple[World, Post]]:
    with mail_server() as (post, port):
        async with make_world(*filled_database, smtp_url=f"smtp://127.0.0.1:{port}") as world:
            yield world, post


async def ask(world: World, email: str) -> httpx.Response:
    async with world.browser() as browser:
        answer = await browser.post("/sign-in", data={"email": email})
    await world.workers.drain()
    return answer


async def spent(world: World) -> int:
    async with world.context.database.begin(read_only=True) as tx:
        query = select(func.count()).select_from(SignInLink).where(SignInLink.spent_at.is_not(None))
        return (await tx.execute(query)).scalar_one()


async def test_a_link_comes_by_mail_shows_a_button_and_works_once(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    async with world.browser() as browser:
        await ask(world, " Avery@Example.org ")
        (to, mail), path = post.mails[0], post.link()
        assert len(post.mails) == 2, "one for each organization that knows the address"
        assert to == ["avery@example.org"]
        assert str(mail["To"]) == "avery@example.org"
        for _ in range(3):
            shown = await browser.get(path)
            assert (shown.status_code, await spent(world)) == (200, 0)
            assert not browser.cookies
            assert (await browser.head(path)).status_code in (200, 405)
        answer = await browser.post(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/welcome")
        assert (await browser.get("/welcome")).status_code == 200
        assert (await browser.post(path)).status_code == 410
    assert await spent(world) == 1


async def test_a_mail_says_nothing_of_anybody(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    await ask(world, "avery@example.org")
    text = post.mails[0][1].get_content() + str(post.mails[0][1]["Subject"])
    for word in ("Avery", "M-1", "Union", "Other", "incident", "alert", "breach", "Oakland"):
        assert word not in text


async def test_sixteen_at_once_spend_a_link_once(world: World) -> None:
    async with world.context.database.begin() as tx:
        token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)

    async def spend() -> int:
        async with world.browser() as browser:
            return (await browser.post(f"/sign-in/{token}")).status_code

    answers = await asyncio.gather(*(spend() for _ in range(16)))
    assert sorted(answers) == [303] + [410] * 15
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(Session))).scalar_one() == 1


@pytest.mark.parametrize(("age", "status"), [(timedelta(minutes=14, seconds=59), 303), (timedelta(minutes=15), 410)])
async def test_a_link_runs_out(world: World, age: timedelta, status: int) -> None:
    async with world.context.database.begin() as tx:
        token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
    clock.set_to(NOW + age)
    async with world.browser() as browser:
        assert (await browser.post(f"/sign-in/{token}")).status_code == status


async def test_an_unknown_address_gets_the_same_answer_and_leaves_the_same_rows(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    scene, seen = Scene(world), []
    for email in ("nobody@example.org", "blake@example.org"):
        before = await scene.digest()
        async with world.browser() as browser:
            answer = await browser.post("/sign-in", data={"email": email})
        after = await scene.digest()
        seen.append((answer.status_code, answer.content, dict(answer.headers), [n for n in after if after[n] != before[n]]))
    assert seen[0] == seen[1]
    assert seen[0][3] == ["outbox"]
    await world.workers.drain()
    assert {to[0] for to, _ in post.mails} == {"blake@example.org"}
    async with world.context.database.begin(read_only=True) as tx:
        payloads = [row.payload for row in (await tx.execute(select(Message))).scalars() if row.topic == access.SIGN_IN_REQUESTED]
    assert {frozenset(payload) for payload in payloads} == {frozenset({"email_index"})}
    assert {len(payload["email_index"]) for payload in payloads} == {64}


HELD = [
    "a@oaklandca.gov",
    "a@OAKLANDCA.GOV",
    "a@mail.oaklandca.gov",
    "a@oaklandca.gov.",
    "a@oaklandｃa.gov",
    "x<a@oaklandca.gov>",
    "<a@oaklandca.gov>",
    "a@oaklandca.gov,",
    "a@oaklandca.gov;",
    "a@oaklandca.gov(comment)",
    '"b@example.org,"a@oaklandca.gov',
]


async def test_nothing_goes_to_the_defendant(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    for email in HELD:
        async with world.context.database.begin() as tx:
            account = await access.create_account(tx, world.context.keyring, world.union.id, email)
            await access.grant_role(tx, world.context.keyring, account, Role.STAFF)
            await access.request_link(tx, world.context.keyring, email)
        await world.workers.drain()
        assert post.mails == [], email
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(SignInLink))).scalar_one() == 0
        assert (await tx.execute(select(func.count()).select_from(Failure))).scalar_one() == 0


async def test_an_address_beside_the_defendants_is_served(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    for email in ("a@notoaklandca.gov", "a@oaklandca.gov.example.org", "jürgen@bücher.example"):
        async with world.context.database.begin() as tx:
            account = await access.create_account(tx, world.context.keyring, world.union.id, email)
            await access.grant_role(tx, world.context.keyring, account, Role.STAFF)
            await access.request_link(tx, world.context.keyring, email)
        await world.workers.drain()
    assert [to[0] for to, _ in post.mails][:2] == ["a@notoaklandca.gov", "a@oaklandca.gov.example.org"]


async def test_a_mail_server_that_refuses_loses_no_link(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    post.closed = True
    await ask(world, "blake@example.org")
    assert post.mails == []
    post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await world.workers.drain()
    async with world.browser() as browser:
        assert (await browser.post(post.link())).status_code == 303


async def test_a_link_is_made_when_it_is_sent_and_its_time_counts_from_then(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    post.closed = True
    await ask(world, "blake@example.org")
    post.closed = False
    clock.set_to(NOW + timedelta(minutes=20))
    await world.workers.drain()
    assert {to[0] for to, _ in post.mails} == {"blake@example.org"}
    clock.set_to(NOW + timedelta(minutes=34, seconds=59))
    async with world.browser() as browser:
        assert (await browser.post(post.link())).status_code == 303


async def test_without_a_mail_server_no_link_is_made_that_nobody_can_bring(world: World) -> None:
    await ask(world, "blake@example.org")
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(func.count()).select_from(SignInLink))).scalar_one() == 0


async def test_a_role_that_is_taken_while_the_mail_waits_gets_no_link(mailed: tuple[World, Post]) -> None:
    world, post = mailed
    post.closed = True
    async with world.browser() as browser:
        await browser.post("/sign-in", data={"email": "staff@union.example"})
    await world.workers.drain()
    async with world.context.database.begin() as tx:
        caller = await Scene(world).principal(Role.ADMIN)
        await access.revoke_role(tx, world.context.keyring, caller, world.union.accounts[Role.STAFF], Role.STAFF)
    post.closed = False
    clock.set_to(NOW + timedelta(minutes=1))
    await world.workers.drain()
    assert post.mails == []


async def test_a_revoked_role_gets_no_link_and_an_open_link_dies_with_it(world: World) -> None:
    async with world.context.database.begin() as tx:
        account_id = world.union.accounts[Role.STAFF]
        token = await access.create_link(tx, account_id, Role.STAFF)
        caller = await Scene(world).principal(Role.ADMIN)
        await access.revoke_role(tx, world.context.keyring, caller, account_id, Role.STAFF)
    async with world.browser() as browser:
        assert (await browser.post(f"/sign-in/{token}")).status_code == 410


LIMITS = [(Role.MEMBER, timedelta(minutes=30))] + [(role, timedelta(minutes=15)) for role in Role if role is not Role.MEMBER]
SECOND = timedelta(seconds=1)


async def test_a_session_ends_after_its_idle_time(world: World) -> None:
    for role, idle in LIMITS:
        clock.set_to(NOW)
        async with await world.sign_in(role) as browser:
            clock.set_to(NOW + idle - SECOND)
            assert (await browser.get("/v1/me")).status_code == 200, role
            clock.set_to(NOW + 2 * idle - 2 * SECOND)
            assert (await browser.get("/v1/me")).status_code == 200, role
            clock.set_to(NOW + 3 * idle - 2 * SECOND)
            assert (await browser.get("/v1/me")).status_code == 401, role


@pytest.mark.long
async def test_a_session_ends_after_twelve_hours_however_busy(world: World) -> None:
    for role, idle in LIMITS:
        clock.set_to(NOW)
        async with await world.sign_in(role) as browser:
            passed = timedelta()
            while (passed := passed + idle - SECOND) < timedelta(hours=12):
                clock.set_to(NOW + passed)
                assert (await browser.get("/v1/me")).status_code == 200, (role, passed)
            clock.set_to(NOW + timedelta(hours=12))
            assert (await browser.get("/v1/me")).status_code == 401, role


async def test_signing_out_ends_this_session_and_no_other(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as one, await world.sign_in(Role.MEMBER) as two:
        answer = await one.post("/sign-out")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert answer.headers["set-cookie"].startswith(f'{cookie_name(world.context.settings)}="";')
        assert (await one.get("/v1/me")).status_code == 401
        assert (await two.get("/v1/me")).status_code == 200


async def test_signing_out_everywhere_ends_every_session_and_link_of_this_account_and_no_others(world: World) -> None:
    async with world.context.database.begin() as tx:
        waiting = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
        others = await access.create_link(tx, world.union.accounts["M-2"], Role.MEMBER)
    async with (
        await world.sign_in(Role.MEMBER) as one,
        await world.sign_in(Role.MEMBER) as two,
        await world.sign_in(Role.MEMBER, "M-2") as neighbour,
    ):
        answer = await one.post("/sign-out/everywhere")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert [(await browser.get("/v1/me")).status_code for browser in (one, two, neighbour)] == [401, 401, 200]
    async with world.browser() as browser:
        assert (await browser.post(f"/sign-in/{waiting}")).status_code == 410
        assert (await browser.post(f"/sign-in/{others}")).status_code == 303


async def test_a_new_sign_in_ends_the_session_that_this_browser_had(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        before = dict(browser.cookies)
        async with world.context.database.begin() as tx:
            token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
        assert (await browser.post(f"/sign-in/{token}")).status_code == 303
        async with world.browser(before) as old:
            assert (await old.get("/v1/me")).status_code == 401


@pytest.mark.parametrize("how", ["role", "erasure"])
async def test_a_taken_role_or_an_erasure_ends_every_session_and_token_at_once(world: World, how: str) -> None:
    scene, role = Scene(world), Role.MEMBER if how == "erasure" else Role.STAFF
    _, secret = await scene.token(role)
    async with await world.sign_in(role) as browser, await world.sign_in(Role.ADMIN) as admin:
        if how == "role":
            answer = await admin.delete(f"/v1/accounts/{world.union.accounts[Role.STAFF]}/roles/staff")
        else:
            answer = await admin.post(f"/v1/members/{world.union.members['M-1']}/erasure")
        assert answer.status_code == 204, answer.text
        assert (await browser.get("/v1/me")).status_code == 401
        bearer = {"authorization": f"Bearer {secret}"}
        assert (await world.client.get("/v1/me", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("base_url", "name", "secure"), [("https://h.example", "__Host-harmline", True), ("http://h.example", "harmline", False)]
)
async def test_the_cookie_is_flagged(filled_database: tuple[str, Filled], base_url: str, name: str, secure: bool) -> None:
    async with make_world(*filled_database, base_url=base_url) as world:
        async with world.context.database.begin() as tx:
            token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
        async with world.browser() as browser:
            cookies = (await browser.post(f"/sign-in/{token}")).headers.get_list("set-cookie")
        flags = {one.partition("=")[0]: {part.strip().lower() for part in one.split(";")[1:]} for one in cookies}
        over_tls = {"secure"} if secure else set()
        assert flags == {
            name: {"httponly", "path=/", "samesite=lax"} | over_tls,
            f"{name}-browser": {"httponly", "path=/", "samesite=strict", "max-age=31536000"} | over_tls,
        }
        assert cookie_name(Settings(base_url=base_url)) == name


async def test_only_hashes_of_links_and_sessions_are_kept(world: World) -> None:
    async with world.context.database.begin() as tx:
        token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
        link = (await tx.execute(select(SignInLink))).scalars().one()
        assert link.token_hash == token_hash(token)
        assert len(token) >= 43, "256 bits of chance"
        assert token not in repr({column: getattr(link, column) for column in SignInLink.__table__.columns.keys()})  # noqa: SIM118 - a collection of columns, not a dict


def test_the_mail_names_its_lifetime() -> None:
    minutes = int(access.LINK_LIFETIME.total_seconds() // 60)
    assert f"for {minutes} minutes" in mailing._TEXT


async def test_a_mailbox_is_not_filled_and_whoever_owns_it_is_not_locked_out(mailed: tuple[World, Post]) -> None:
    """Anybody may ask; what came first stays good for ten minutes at least while no more comes."""
    world, post = mailed
    for _ in range(6):
        await ask(world, "avery@example.org")
    assert len(post.mails) == 2 * mailing.MOST_LINKS, "each organization that knows the address writes for itself"
    clock.set_to(NOW + timedelta(minutes=4, seconds=59))
    await ask(world, "avery@example.org")
    assert len(post.mails) == 2 * mailing.MOST_LINKS
    links = [link.get_content() for _, link in post.mails]
    assert len(set(links)) == len(links)
    clock.set_to(NOW + timedelta(minutes=14, seconds=59))
    async with world.browser() as browser:
        assert (await browser.post(post.link())).status_code == 303
    await ask(world, "avery@example.org")
    assert len(post.mails) == 2 * mailing.MOST_LINKS + 2


async def test_whoever_has_used_up_their_links_gets_another_at_once(mailed: tuple[World, Post]) -> None:
    world, _ = mailed
    for _ in range(mailing.MOST_LINKS):
        async with world.context.database.begin() as tx:
            token = await access.create_link(tx, world.union.accounts["M-1"], Role.MEMBER)
        async with world.browser() as browser:
            assert (await browser.post(f"/sign-in/{token}")).status_code == 303
    before = len(mailed[1].mails)
    await ask(world, "avery@example.org")
    assert len(mailed[1].mails) == before + 2


async def test_who_asks_again_while_the_mail_server_is_away_gets_one_letter_as_soon_as_it_is_back(
    mailed: tuple[World, Post],
) -> None:
    world, post = mailed
    post.closed = True
    for _ in range(5):
        await ask(world, "avery@example.org")
    async with world.context.database.begin(read_only=True) as tx:
        letters = (await tx.execute(select(Letter).where(Letter.kind == mailing.SIGN_IN_LETTER))).scalars().all()
    assert len(letters) == 2, "one for each organization that knows the address"
    assert {letter.attempts for letter in letters} == {5}, "each time that somebody asked it was tried at once"
    post.closed = False
    await ask(world, "avery@example.org")
    assert len(post.mails) == 2
    async with world.browser() as browser:
        assert (await browser.post(post.link())).status_code == 303


async def test_too_many_requests_from_one_address_are_told_when_to_come_again_and_say_nothing_else(world: World) -> None:
    limit = world.context.settings.sign_in_burst
    async with world.browser() as browser:
        known = [await browser.post("/sign-in", data={"email": "avery@example.org"}) for _ in range(limit // 2)]
        unknown = [await browser.post("/sign-in", data={"email": "nobody@example.org"}) for _ in range(limit - limit // 2)]
        assert {answer.status_code for answer in known + unknown} == {200}
        late = [await browser.post("/sign-in", data={"email": f"{who}@example.org"}) for who in ("avery", "nobody")]
    assert [answer.status_code for answer in late] == [429, 429]
    assert late[0].content == late[1].content
    assert 1 <= int(late[0].headers["retry-after"]) <= 5
    async with world.browser() as browser:
        assert (await browser.get("/sign-in")).status_code == 200
