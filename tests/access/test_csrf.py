"""What another site can make a signed-in browser send is refused on every route that changes something."""

from __future__ import annotations

import httpx
import pytest

from app.access.gate import cookie_name
from app.access.policy import POLICY
from app.access.roles import Role
from tests.access.examples import EXAMPLES, SIGNED, filled, ids_for
from tests.access.scene import Scene, staged
from tests.support.world import ORIGIN, Filled, World, make_world

UNSAFE = [route for route in POLICY if route[0] not in ("GET", "HEAD") and SIGNED not in EXAMPLES[route].send]

FOREIGN = {
    "nothing at all": {},
    "another site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "another site with our origin": {"sec-fetch-site": "cross-site", "origin": ORIGIN},
    "a sister site": {"sec-fetch-site": "same-site", "origin": "http://evil.localhost:8000"},
    "an unknown value": {"sec-fetch-site": "trust-me"},
    "an empty value": {"sec-fetch-site": "", "origin": ORIGIN},
    "a null origin": {"origin": "null"},
    "an empty origin": {"origin": ""},
    "our origin as a prefix": {"origin": ORIGIN + ".evil.example"},
    "our origin as a user": {"origin": "http://localhost:8000@evil.example"},
    "our origin as a suffix": {"origin": "http://evil-localhost:8000"},
    "another port": {"origin": "http://localhost:8001"},
    "another scheme": {"origin": "https://localhost:8000"},
    "our origin with a path": {"origin": ORIGIN + "/"},
    "two origins": {"origin": f"{ORIGIN} https://evil.example"},
    "an origin that cannot be read": {"origin": "http://["},
    "our address as a referer only": {"referer": ORIGIN + "/timeline"},
}

OWN = ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": ORIGIN})


@pytest.fixture
async def scene(world: World, filled_database: tuple[str, Filled]) -> Scene:
    return staged(world, filled_database[1])


def cookies_only(world: World, signed_in: httpx.AsyncClient) -> httpx.AsyncClient:
    """The same browser without any header of its own."""
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=dict(signed_in.cookies))


def role_for(route: tuple[str, str]) -> Role:
    return next((role for role in Role if role in POLICY[route].roles), Role.MEMBER)


@pytest.mark.long
async def test_another_sites_request_is_refused_on_every_unsafe_route(scene: Scene) -> None:
    for role in Role:
        routes = [route for route in UNSAFE if role_for(route) is role]
        ids = await ids_for(scene, role, ())
        async with await scene.world.sign_in(role) as signed_in, cookies_only(scene.world, signed_in) as browser:
            before = await scene.digest()
            for route in routes:
                path = filled(route[1] + EXAMPLES[route].query, ids)
                for what, headers in FOREIGN.items():
                    answer = await browser.request(route[0], path, headers=headers, **filled(dict(EXAMPLES[route].send), ids))
                    assert answer.status_code == 403, (route, what)
            assert await scene.digest() == before


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_simple_form_cannot_stand_in_for_json(scene: Scene, content_type: str) -> None:
    path = f"/v1/incidents/{scene.places['own']['incident_id']}/losses"
    body = b'{"head":"oop","amount":"1.00","incurred_on":"2023-03-30"}'
    async with await scene.world.sign_in(Role.MEMBER) as browser:
        for own in OWN:
            answer = await browser.post(path, content=body, headers={"content-type": content_type, **own})
            assert answer.status_code == 422


async def test_a_method_hidden_in_a_header_or_query_is_not_taken(scene: Scene) -> None:
    hold_id = await scene.hold(scene.world.union)
    async with await scene.world.sign_in(Role.COUNSEL) as browser:
        before = await scene.digest()
        for name in ("x-http-method-override", "x-http-method", "x-method-override"):
            answer = await browser.get(f"/v1/holds/{hold_id}?_method=DELETE", headers={name: "DELETE"})
            assert answer.status_code == 405
        assert await scene.digest() == before


async def test_own_pages_are_served(scene: Scene) -> None:
    for own in OWN:
        async with await scene.world.sign_in(Role.MEMBER) as signed_in, cookies_only(scene.world, signed_in) as browser:
            answer = await browser.post("/v1/tokens", json={"label": "x", "scopes": ["account"]}, headers=own)
            assert answer.status_code == 201


async def test_a_program_needs_no_origin(scene: Scene) -> None:
    _, secret = await scene.token(Role.ADMIN)
    for headers in FOREIGN.values():
        bearer = {**headers, "authorization": f"Bearer {secret}"}
        answer = await scene.world.client.post(
            "/v1/members/import?dry_run=true", headers=bearer, files={"file": b"external_id\n"}
        )
        assert answer.status_code == 200


async def test_asking_for_a_link_from_another_site_is_refused_without_a_cookie_too(world: World) -> None:
    before = await Scene(world).digest()
    for headers in FOREIGN.values():
        assert (await world.client.post("/sign-in", data={"email": "avery@example.org"}, headers=headers)).status_code == 403
    assert await Scene(world).digest() == before


async def test_no_other_site_may_read_an_answer(world: World) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        for origin in ("https://evil.example", "null", ORIGIN):
            answer = await browser.get("/v1/me", headers={"origin": origin})
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            asked = await browser.options("/v1/me", headers={"origin": origin, "access-control-request-method": "POST"})
            assert asked.status_code == 405
            assert not [name for name in asked.headers if name.startswith("access-control-")]


async def test_behind_tls_a_cookie_without_its_prefix_is_not_taken(filled_database: tuple[str, Filled]) -> None:
    async with make_world(*filled_database, base_url="https://h.example") as world:
        async with await world.sign_in(Role.MEMBER) as browser:
            (value,) = browser.cookies.values()
            assert (await browser.get("/v1/me")).status_code == 200
        assert cookie_name(world.context.settings) == "__Host-harmline"
        async with world.browser({"harmline": value}) as browser:
            assert (await browser.get("/v1/me")).status_code == 401
