"""Every answer, good or bad, carries the headers that keep browsers and caches in bounds."""

from __future__ import annotations

import re

import httpx
import pytest

from app.access.policy import POLICY
from app.access.roles import Role
from tests.access.examples import EXAMPLES, SIGNED, filled, ids_for
from tests.access.scene import Scene, staged
from tests.support.world import Filled, World

POLICY_PARTS = {
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
SPEAK_WITH_PASSKEYS = ("/sign-in", "/welcome", "/ways-in", "/confirm")
OWN_SCRIPT = {"script-src 'self'", "connect-src 'self'"}
"""On the pages that speak with a passkey, and nowhere else."""
EXACT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
YEAR = 365 * 24 * 3600


SCRIPTED = POLICY_PARTS - {"form-action 'self'", "img-src 'self'"} | {
    "form-action 'none'",
    "img-src 'self' data:",
    "script-src 'self'",
    "connect-src 'self'",
}


def assert_guarded(answer: httpx.Response, what: object) -> None:
    headers = answer.headers
    scripted = "/static/passkeys.js" in answer.text
    wanted = SCRIPTED if answer.request.url.path == "/docs" and answer.status_code == 200 else POLICY_PARTS
    parts = {part.strip() for part in headers["content-security-policy"].split(";")}
    assert parts == wanted | (OWN_SCRIPT if scripted else set()), what
    assert "unsafe" not in headers["content-security-policy"]
    assert {name: headers.get(name) for name in EXACT} == EXACT, what
    age = re.search(r"max-age=(\d+)", headers["strict-transport-security"])
    assert age is not None
    assert int(age.group(1)) >= YEAR
    assert "camera=()" in headers["permissions-policy"]
    for name in (*EXACT, "content-security-policy", "cache-control", "strict-transport-security"):
        assert len(headers.get_list(name)) == 1, (what, name)
    for name in ("server", "x-powered-by", "access-control-allow-origin", "etag"):
        assert name not in headers, (what, name)


@pytest.fixture
async def scene(world: World, filled_database: tuple[str, Filled]) -> Scene:
    return staged(world, filled_database[1])


@pytest.mark.long
async def test_every_route_is_guarded_for_everybody(scene: Scene) -> None:
    for role in Role:
        async with await scene.world.sign_in(role) as browser, scene.world.browser() as nobody:
            ids = await ids_for(scene, role, ())
            for route, rule in POLICY.items():
                example = EXAMPLES[route]
                if SIGNED in example.send or route[1].startswith("/sign-out") or role not in (rule.roles or {Role.STAFF}):
                    continue
                path = filled(route[1] + example.query, ids)
                for client in (browser, nobody):
                    answer = await client.request(route[0], path, **filled(dict(example.send), ids))
                    assert_guarded(answer, route)
                    kept = "public" in answer.headers["cache-control"]
                    assert kept is route[1].startswith("/static/"), route
                    assert kept or answer.headers["cache-control"] == "no-store"


async def test_errors_are_guarded_too(world: World) -> None:
    for method, path in (
        ("GET", "/nothing/here"),
        ("GET", "/v1/nothing"),
        ("GET", "/static/nothing.css"),
        ("GET", "/static/..%2f..%2fmain.py"),
        ("DELETE", "/v1/me"),
        ("TRACE", "/"),
        ("OPTIONS", "/v1/me"),
        ("POST", world.union.connection.path),
        ("POST", "/v1/tokens"),
        ("GET", "/v1/incidents/x"),
        ("GET", "/docs"),
        ("GET", "/docs/"),
        ("GET", "/.well-known/nothing"),
        ("POST", "/.well-known/security.txt"),
        ("POST", "/webhooks/x/y"),
        ("GET", world.union.connection.path),
    ):
        answer = await world.client.request(method, path)
        assert answer.status_code >= 300
        assert_guarded(answer, path)
        assert answer.headers["cache-control"] == "no-store"


FILES = {
    **dict.fromkeys(("checkpoint", "consistency", "entries", "key"), "text/plain; charset=utf-8"),
    "tile": "application/octet-stream",
    "timestamps": "application/timestamp-reply",
}
"""What of the log is made to be saved, as it is; refusals are as everywhere."""


def type_of(path: str) -> str:
    """What a good answer of a route is sent as."""
    if path.startswith("/v1/ledger/"):
        return FILES[path.split("/")[3]]
    return "application/json" if path.startswith("/v1") else "text/html; charset=utf-8"


async def test_pages_are_html_the_api_is_json_and_files_are_what_they_are(scene: Scene) -> None:
    for role in Role:
        async with await scene.world.sign_in(role) as browser:
            ids = await ids_for(scene, role, ())
            for (method, path), rule in POLICY.items():
                if method == "GET" and role in rule.roles and path != "/":
                    answer = await browser.get(filled(path + EXAMPLES[method, path].query, ids))
                    if answer.status_code == 303:
                        continue
                    refused = answer.status_code != 200 and path.startswith("/v1")
                    expected = "application/problem+json" if refused else type_of(path)
                    assert answer.headers["content-type"] == expected, path


@pytest.mark.parametrize(
    "path", ["../main.py", "..%2f..%2fmain.py", "%2e%2e/main.py", "/etc/passwd", "vendor", ".", "look.css%00"]
)
async def test_static_files_are_the_listed_ones(world: World, path: str) -> None:
    assert (await world.client.get(f"/static/{path}")).status_code == 404


@pytest.mark.parametrize("path", ["/sign-out", "/sign-out/everywhere"])
async def test_whoever_signs_out_takes_along_what_the_browser_has(world: World, path: str) -> None:
    async with await world.sign_in(Role.MEMBER) as browser:
        answer = await browser.post(path)
        assert answer.status_code == 303
        assert answer.headers["clear-site-data"] == '"cache", "storage"', (
            "the session's cookie goes by name; a known browser stays known"
        )
        assert_guarded(answer, path)
        assert answer.headers["cache-control"] == "no-store"
        assert (await browser.get("/v1/me")).status_code == 401


async def test_no_page_has_anything_inline(scene: Scene) -> None:
    """What the policy would refuse is not sent in the first place, by no role's page, also not as an error."""
    inline = re.compile(r"<style|<script(?![^>]* src=)|<[^>]+ (?:style|on[a-z]+)=|javascript:", re.IGNORECASE)
    assert inline.search("<p onclick='x'>")
    assert inline.search("<script>x</script>")
    for role in Role:
        async with await scene.world.sign_in(role) as browser:
            ids = await ids_for(scene, role, ())
            pages = [path for (method, path), rule in POLICY.items() if method == "GET" and role in rule.roles]
            for path in [*(one for one in pages if not one.startswith("/v1")), "/nothing/here", "/sign-in"]:
                answer = await browser.get(filled(path, ids))
                assert not inline.search(answer.text), path
                scripts = set(re.findall(r'<script src="/static/([^?"]+)', answer.text))
                assert answer.text.count("<script") == len(scripts)
                if path == "/docs" and answer.status_code == 200:
                    assert scripts == {"swagger-ui-bundle.js", "docs.js"}
                else:
                    assert scripts <= ({"passkeys.js"} if path in SPEAK_WITH_PASSKEYS else set()), path
