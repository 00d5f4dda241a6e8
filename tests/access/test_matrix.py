"""Route by role by whose it is, from the policy itself: a route without an example fails."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.access import service as access
from app.access.gate import cookie_name
from app.access.policy import POLICY, Rule, scopes_of
from app.access.repository import end_access
from app.access.roles import Role, Standing
from app.kit import clock
from connectors.standard.sandbox import sign
from tests.access.examples import EXAMPLES, SIGNED, Example, filled, ids_for
from tests.access.scene import Scene, staged
from tests.support.world import NOW, Filled, World, alert

SAFE = ("GET", "HEAD")
PROTECTED = [(route, rule) for route, rule in POLICY.items() if not rule.public]


@pytest.fixture
async def scene(world: World, filled_database: tuple[str, Filled]) -> Scene:
    return staged(world, filled_database[1])


async def send(
    browser: httpx.AsyncClient, route: tuple[str, str], example: Example, ids: dict[str, str], **more: Any
) -> httpx.Response:
    method, path = route
    arguments = filled(dict(example.send), ids)
    if arguments.pop(SIGNED, False):
        raise AssertionError("deliveries are sent by World.deliver")
    return await browser.request(method, filled(path + example.query, ids), **arguments, **more)


@asynccontextmanager
async def browsers(scene: Scene) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """A browser for every role, signed in."""
    async with AsyncExitStack() as stack:
        yield {role: await stack.enter_async_context(await scene.world.sign_in(role)) for role in Role}


async def in_standing(scene: Scene, role: Role, standing: Standing) -> httpx.AsyncClient:
    """A browser of somebody who has come so far."""
    cookie = await scene.world.session(role, standing=standing)
    return scene.world.browser({cookie_name(scene.world.context.settings): cookie})


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def is_page(path: str) -> bool:
    return not path.startswith("/v1")


def assert_asks_to_sign_in(answer: httpx.Response, path: str) -> None:
    if is_page(path):
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), path
    else:
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_every_route_has_an_example() -> None:
    assert set(EXAMPLES) == set(POLICY)


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_gets_through(scene: Scene, role: Role) -> None:
    for route, rule in PROTECTED:
        if role not in rule.roles:
            continue
        example = EXAMPLES[route]
        async with await in_standing(
            scene, role, Standing.FULL if Standing.FULL in rule.standings else min(rule.standings)
        ) as browser:
            ids = await ids_for(scene, role, example.fresh)
            answer = await send(browser, route, example, ids)
            assert answer.status_code == example.own, (route, answer.text)
        if not is_page(route[1]):
            _, secret = await scene.token(role, frozenset({rule.scope}) if rule.scope else None)
            ids = await ids_for(scene, role, example.fresh)
            answer = await send(scene.world.client, route, example, ids, headers=bearer(secret))
            refused = example.people_only or not rule.scope
            assert answer.status_code == (403 if refused else example.own), (route, answer.text)


async def test_what_is_not_yours_answers_like_what_is_not_there(scene: Scene) -> None:
    async with browsers(scene) as signed_in:
        before = await scene.digest()
        for role, browser in signed_in.items():
            own = await ids_for(scene, role, ())
            for route, rule in PROTECTED:
                example = EXAMPLES[route]
                asked = [name for name in own if "{" + name + "}" in route[1] + example.query + repr(dict(example.send))]
                lost = {**own, **{name: str(scene.missing()) for name in asked if name.endswith("_id")}}
                assert role not in rule.roles or lost == own or role in example.foreign, f"{route}: whose ids can it be asked?"
                for relation in example.foreign.get(role, ()):
                    theirs = {**own, **scene.places[relation]}
                    assert any(theirs[name] != own[name] for name in asked), route
                    missing, foreign = await send(browser, route, example, lost), await send(browser, route, example, theirs)
                    assert (foreign.status_code, foreign.content) == (404, missing.content), (route, relation)
                    assert dict(foreign.headers) == dict(missing.headers)
                    assert missing.status_code == 404
        assert await scene.digest() == before


@pytest.mark.parametrize("number", [0, 2**128 - 1], ids=["the first of all", "the last of all"])
async def test_an_id_at_the_edge_of_all_ids_answers_like_any_that_is_not_there(scene: Scene, number: int) -> None:
    edge = str(UUID(int=number))
    async with browsers(scene) as signed_in:
        for role, browser in signed_in.items():
            own = await ids_for(scene, role, ())
            for route, rule in PROTECTED:
                asked = {name: edge for name in own if name.endswith("_id") and "{" + name + "}" in route[1]}
                if role in rule.roles and asked:
                    missing = {**own, **{name: str(scene.missing()) for name in asked}}
                    answer, other = [await send(browser, route, EXAMPLES[route], own | ids) for ids in (asked, missing)]
                    assert answer.status_code == other.status_code < 500, (route, role)


async def test_own_incident_with_an_event_that_is_not_in_it_is_not_there(scene: Scene) -> None:
    for role in (Role.MEMBER, Role.COUNSEL):
        async with await scene.world.sign_in(role) as browser:
            for relation in ("other_member", "other_organization"):
                path = f"/incidents/{scene.places['own']['incident_id']}/originals/{scene.places[relation]['event_id']}"
                assert (await browser.get(path)).status_code == 404
                assert (await browser.get("/v1" + path)).status_code == 404


async def test_a_wrong_role_is_refused_and_nothing_happens(scene: Scene) -> None:
    tokens = {role: (await scene.token(role))[1] for role in Role}
    async with browsers(scene) as signed_in:
        before = await scene.digest()
        for role, browser in signed_in.items():
            ids = await ids_for(scene, role, ())
            for route, rule in PROTECTED:
                if role not in rule.roles:
                    by_cookie = await send(browser, route, EXAMPLES[route], ids)
                    by_token = await send(scene.world.client, route, EXAMPLES[route], ids, headers=bearer(tokens[role]))
                    assert (by_cookie.status_code, by_token.status_code) == (403, 403), (route, role)
        assert await scene.digest() == before


async def test_counsel_without_a_matter_sees_nobody(scene: Scene) -> None:
    scene.world.union.accounts["second counsel"] = await scene.staff_account(Role.COUNSEL)
    async with await scene.world.sign_in(Role.COUNSEL, "second counsel") as browser:
        for route, rule in PROTECTED:
            if Role.COUNSEL in rule.roles and ("incident" in route[1] or "{matter_id}" in route[1]) and "stat" not in route[1]:
                answer = await send(browser, route, EXAMPLES[route], await ids_for(scene, Role.COUNSEL, ()))
                assert answer.status_code == 404, route
        assert (await browser.get("/v1/matters")).json() == []


GO_ON = {Standing.SETUP: "/welcome", Standing.MAILBOX: "/recovery", Standing.FULL: "/"}


@pytest.mark.parametrize("standing", list(Standing))
async def test_who_is_not_signed_in_all_the_way_gets_no_further_and_nothing_happens(scene: Scene, standing: Standing) -> None:
    for role in Role:
        async with await in_standing(scene, role, standing) as browser:
            ids = await ids_for(scene, role, ())
            before = await scene.digest()
            for route, rule in PROTECTED:
                if role not in rule.roles or standing in rule.standings:
                    continue
                answer = await send(browser, route, EXAMPLES[route], ids)
                if is_page(route[1]):
                    assert (answer.status_code, answer.headers["location"]) == (303, GO_ON[standing]), (route, role)
                else:
                    assert answer.status_code == 403, (route, role)
            assert await scene.digest() == before


async def test_what_matters_asks_anew_after_five_minutes_and_nothing_happens(scene: Scene) -> None:
    for role in Role:
        clock.set_to(NOW)
        ids = await ids_for(scene, role, ())
        async with await scene.world.sign_in(role) as browser:
            before = await scene.digest()
            clock.set_to(NOW + timedelta(minutes=5, seconds=1))
            for route, rule in PROTECTED:
                if role in rule.roles & rule.fresh and Standing.FULL in rule.standings:
                    answer = await send(browser, route, EXAMPLES[route], ids)
                    assert answer.status_code == 403, (route, role)
                    assert "that it is you" in answer.text
            assert await scene.digest() == before


async def callers_who_are_nobody(scene: Scene) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    """Cookies and headers of callers that once were somebody, or pretend to be."""
    world, name = scene.world, cookie_name(scene.world.context.settings)
    token_id, revoked = await scene.token(Role.MEMBER)
    account_id = await scene.staff_account(Role.AUDITOR)
    world.union.accounts["gone"] = account_id
    async with await world.sign_in(Role.AUDITOR, "gone") as browser:
        ended = dict(browser.cookies)
    async with world.context.database.begin() as tx:
        caller = await scene.principal(Role.MEMBER)
        await access.revoke_token(tx, world.context.keyring, caller, token_id)
        await end_access(tx, account_id, Role.AUDITOR, clock.now())
    return {
        "nobody": ({}, {}),
        "an ended session": (ended, {}),
        "an invented session": ({name: "x" * 43}, {}),
        "an empty session": ({name: ""}, {}),
        "a revoked token": ({}, bearer(revoked)),
        "an invented token": ({}, bearer("hl_" + "x" * 43)),
        "a cookie's value as a token": ({}, bearer(ended[name])),
        "basic credentials": ({}, {"authorization": "Basic YTpi"}),
    }


async def test_nobody_is_asked_to_sign_in_and_nothing_happens(scene: Scene) -> None:
    callers = await callers_who_are_nobody(scene)
    before = await scene.digest()
    for who, (cookies, headers) in callers.items():
        async with scene.world.browser(cookies) as browser:
            for route, _ in PROTECTED:
                answer = await send(browser, route, EXAMPLES[route], await ids_for(scene, Role.MEMBER, ()), headers=headers)
                assert_asks_to_sign_in(answer, f"{route[1]} as {who}")
    assert await scene.digest() == before


@pytest.mark.long
async def test_a_session_or_token_that_ran_out_is_nobody(scene: Scene) -> None:
    for role in Role:
        clock.set_to(NOW)
        _, secret = await scene.token(role)
        ids = await ids_for(scene, role, ())
        async with await scene.world.sign_in(role) as browser:
            before = await scene.digest()
            clock.set_to(NOW + timedelta(days=30))
            for route, rule in PROTECTED:
                if role in rule.roles:
                    assert_asks_to_sign_in(await send(browser, route, EXAMPLES[route], ids), route[1])
                    by_token = await send(scene.world.client, route, EXAMPLES[route], ids, headers=bearer(secret))
                    assert_asks_to_sign_in(by_token, route[1])
            assert await scene.digest() == before


@pytest.mark.long
async def test_a_token_does_only_what_its_scopes_say(scene: Scene) -> None:
    for role, scope in [(one, scope) for one in Role for scope in sorted(scopes_of(one))]:
        _, secret = await scene.token(role, scopes_of(role) - {scope})
        ids, before = await ids_for(scene, role, ()), await scene.digest()
        for route, rule in PROTECTED:
            if role in rule.roles and rule.scope == scope:
                answer = await send(scene.world.client, route, EXAMPLES[route], ids, headers=bearer(secret))
                assert answer.status_code == 403, (route, scope)
        assert await scene.digest() == before


async def test_what_needs_no_sign_in_answers_everybody(scene: Scene) -> None:
    public: list[tuple[tuple[str, str], Rule]] = [(route, rule) for route, rule in POLICY.items() if rule.public]
    for cookies in ({}, {cookie_name(scene.world.context.settings): "x" * 43}):
        async with scene.world.browser(cookies) as browser:
            for route, _ in public:
                example = EXAMPLES[route]
                ids = await ids_for(scene, Role.STAFF, example.fresh)
                if SIGNED in example.send:
                    raw = json.dumps(alert(id=f"p-{len(cookies)}")).encode()
                    headers = sign(scene.world.union.connection.secret, raw, at=clock.now())
                    answer = await browser.post(filled(route[1], ids), content=raw, headers=headers)
                else:
                    answer = await send(browser, route, example, ids)
                assert answer.status_code == example.own, (route, answer.text)
