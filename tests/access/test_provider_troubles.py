"""A provider that is away, slow, huge, redirecting or no provider; and what an admin is told who connects such a one."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from app.access import provider_client
from app.access.gate import cookie_name
from app.access.models import IdentityProvider
from app.access.roles import Role
from app.kit.config import Settings
from tests.access.fake_provider import SECRET, Connected, FakeProvider, connect, serving, wanted
from tests.access.scene import Scene
from tests.support.world import World

WELL_KNOWN = provider_client.WELL_KNOWN


def elsewhere(request: Request) -> Response:
    return RedirectResponse(f"{request.base_url}elsewhere", 307)


def huge(_request: Request) -> Response:
    return PlainTextResponse("[" + "1," * 400_000 + "1]", media_type="application/json")


def huge_once_unpacked(_request: Request) -> Response:
    packed = gzip.compress(b'{"keys": "' + b"x" * 5_000_000 + b'"}')
    return Response(packed, media_type="application/json", headers={"content-encoding": "gzip"})


def deep(_request: Request) -> Response:
    return PlainTextResponse("[" * 100_000, media_type="application/json")


def no_json(_request: Request) -> Response:
    return PlainTextResponse("<html>Maintenance</html>")


def broken(_request: Request) -> Response:
    return JSONResponse({"error": "server_error"}, 500)


def a_list(_request: Request) -> Response:
    return JSONResponse(["no", "object"])


async def slow(_request: Request) -> Response:
    await asyncio.sleep(20)
    return JSONResponse({})


async def trickling(_request: Request) -> Response:
    async def drops() -> AsyncIterator[bytes]:
        for _ in range(400):
            await asyncio.sleep(0.05)
            yield b" "

    return StreamingResponse(drops(), media_type="application/json")


TROUBLES = (elsewhere, huge, huge_once_unpacked, deep, no_json, broken, a_list, slow, trickling)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_client, "PATIENCE", 0.5)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
@pytest.mark.parametrize("path", [WELL_KNOWN, "/token", "/jwks"])
async def test_whatever_is_wrong_with_it_nobody_is_signed_in_and_the_page_says_what_to_do(
    own: Connected, path: str, trouble: Any
) -> None:
    async with own.world.browser() as browser:
        asked = await own.go(browser)
        own.provider.instead[path] = trouble
        provider_client._known.clear()
        async with asyncio.timeout(10):
            answer = await own.back(browser, asked, own.provider.code(asked))
        assert answer.status_code == 503, answer.text
        assert "does not answer as it should" in answer.text
        assert "sign in with a passkey" in answer.text
        assert cookie_name(own.world.context.settings) not in browser.cookies
    assert "/elsewhere" not in own.provider.asked


async def test_a_provider_that_is_away_is_told_before_anybody_goes(own: Connected) -> None:
    own.provider.instead[WELL_KNOWN] = slow
    async with own.world.browser() as browser:
        assert (await browser.get(f"/sign-in/with/{own.id}/go")).status_code == 303, "what it said a moment ago still holds"
        provider_client._known.clear()
        answer = await browser.get(f"/sign-in/with/{own.id}/go")
        assert (answer.status_code, answer.headers.get_list("set-cookie")) == (503, [])
        assert (await browser.get(f"/sign-in/with/{own.id}")).status_code == 200


async def test_nobody_listens_there_any_more(world: World) -> None:
    async with serving() as provider:
        own = await connect(world, provider)
        async with world.browser() as browser:
            asked = await own.go(browser)
            provider.instead["/token"] = lambda _request: JSONResponse({"error": "invalid_client"}, 401)
            assert (await own.back(browser, asked, provider.code(asked))).status_code == 403
    async with world.browser() as browser:
        assert (await own_go_again(browser, own)).status_code in (303, 503)
        provider_client._known.clear()
        assert (await own_go_again(browser, own)).status_code == 503


async def own_go_again(browser: Any, own: Connected) -> Any:
    return await browser.get(f"/sign-in/with/{own.id}/go")


async def test_strangers_who_press_the_button_do_not_make_us_ask_each_time(own: Connected) -> None:
    own.provider.asked.clear()
    for _ in range(5):
        async with own.world.browser() as browser:
            await own.go(browser)
    assert own.provider.asked == []


async def save(world: World, **body: Any) -> tuple[int, dict[str, str]]:
    async with await world.sign_in(Role.ADMIN) as admin:
        answer = await admin.post("/v1/identity-provider", json=body)
    errors = answer.json().get("errors", [])
    return answer.status_code, {error["field"]: error["message"] for error in errors}


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "not https": ({"issuer": "http://login.example.org"}, "body.issuer"),
    "with a port": ({"issuer": "https://login.example.org:8443"}, "body.issuer"),
    "an address": ({"issuer": "https://10.0.0.1"}, "body.issuer"),
    "a private network": ({"issuer": "https://login.corp"}, "body.issuer"),
    "a question mark": ({"issuer": "https://login.example.org/?x=1"}, "body.issuer"),
    "somebody's password": ({"issuer": "https://user:secret@login.example.org"}, "body.issuer"),
    "this machine": ({"issuer": "http://127.0.0.1:1"}, "body.issuer"),
    "no words": ({"issuer": "\x00"}, "body.issuer"),
    "the defendant's": ({"domains": ["oaklandca.gov"]}, "body.domains"),
    "below the defendant's": ({"domains": ["mail.oaklandca.gov"]}, "body.domains"),
    "an address for a domain": ({"domains": ["a@union.example"]}, "body.domains"),
    "everybody": ({"domains": ["*"]}, "body.domains"),
    "nobody": ({"domains": []}, "body.domains"),
    "a client id with a blank": ({"client_id": "a b"}, "body.client_id"),
    "a client id with a colon": ({"client_id": "a:b"}, "body.client_id"),
    "a secret with a line": ({"client_secret": "a\nb"}, "body.client_secret"),
    "an empty secret": ({"client_secret": ""}, "body.client_secret"),
    "a field nobody knows": ({"tenant": "x"}, "body.*"),
}


@pytest.mark.parametrize("what", FIELDS)
async def test_each_field_that_is_wrong_is_named(world: World, what: str) -> None:
    change, field = FIELDS[what]
    async with serving() as provider:
        status, errors = await save(world, **wanted(provider, **change))
    assert (status, set(errors)) == (422, {field}), errors
    assert SECRET not in str(errors)


async def test_who_is_not_here_cannot_be_named(world: World) -> None:
    other = await Scene(world).staff_account(tenant=world.other)
    async with serving() as provider:
        for account in (other, world.union.accounts["M-1"], Scene.missing()):
            status, errors = await save(world, **wanted(provider, accounts=[str(account)]))
            assert (status, set(errors)) == (422, {"body.accounts"})


DESCRIBED: tuple[dict[str, Any], ...] = (
    {"issuer": "https://login.example.org"},
    {"issuer": None},
    {"authorization_endpoint": None},
    {"authorization_endpoint": "http://login.example.org/authorize"},
    {"authorization_endpoint": "javascript:alert(1)"},
    {"token_endpoint": "https://10.0.0.1/token"},
    {"token_endpoint": 7},
    {"jwks_uri": "https://login.internal/jwks"},
    {"response_types_supported": ["id_token"]},
    {"code_challenge_methods_supported": ["plain"]},
    {"id_token_signing_alg_values_supported": ["HS256", "none"]},
    {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
)


async def test_a_provider_that_does_not_fit_is_told_why(world: World) -> None:
    async with serving() as provider:
        for said in DESCRIBED:
            provider.description = said
            status, errors = await save(world, **wanted(provider))
            assert (status, set(errors)) == (422, {"body.issuer"}), said
        provider.description = {}
        for trouble in TROUBLES[:-2]:
            provider.instead[WELL_KNOWN] = trouble
            status, errors = await save(world, **wanted(provider))
            assert (status, set(errors)) == (422, {"body.issuer"}), trouble
    async with world.context.database.begin(read_only=True) as tx:
        assert (await tx.execute(select(IdentityProvider))).first() is None


async def test_the_secret_is_needed_the_first_time_and_told_to_nobody(world: World) -> None:
    async with serving() as provider:
        body = {name: value for name, value in wanted(provider).items() if name != "client_secret"}
        status, errors = await save(world, **body)
        assert (status, set(errors)) == (422, {"body.client_secret"})
        own = await connect(world, provider)
    async with await world.sign_in(Role.ADMIN) as admin:
        for path in ("/v1/identity-provider", "/admin/sign-in", "/admin"):
            answer = await admin.get(path)
            assert answer.status_code == 200
            assert SECRET not in answer.text
        shown = (await admin.get("/v1/identity-provider")).json()
    assert shown["sign_in_url"] == f"http://localhost:8000/sign-in/with/{own.id}"
    assert shown["redirect_uri"] == "http://localhost:8000/sign-in/provider/callback"
    async with world.context.database.begin(read_only=True) as tx:
        sealed = (await tx.execute(select(IdentityProvider.secret_sealed))).scalar_one()
    assert SECRET.encode() not in sealed


async def test_one_that_wants_the_secret_in_the_body_gets_it_there(world: World) -> None:
    async with serving() as provider:
        seen: list[bytes] = []

        async def token(request: Request) -> Response:
            seen.append(await request.body())
            return JSONResponse({"error": "invalid_grant"}, 400)

        provider.description = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        provider.instead["/token"] = token
        own = await connect(world, provider)
        async with world.browser() as browser:
            assert (await own.sign_in(browser)).status_code == 403
    assert f"client_secret={SECRET}".encode() in seen[0]


async def form(world: World, **fields: str) -> Any:
    async with await world.sign_in(Role.ADMIN) as admin:
        return await admin.post("/admin/sign-in", data={"todo": "keep", **fields})


def typed(provider: FakeProvider, **change: str) -> dict[str, str]:
    body = {name: value for name, value in wanted(provider).items() if name != "domains"}
    return {**body, "domains": "@Union.example\r\nmore.example", "people": "", **change}


async def test_an_admin_connects_it_by_the_page_and_keeps_what_was_typed(world: World) -> None:
    async with serving() as provider:
        wrong = await form(world, **typed(provider, issuer="https://login.corp"))
        assert wrong.status_code == 422
        for kept in ("https://login.corp", "harmline-at-the-union", "more.example", 'id="issuer-wrong"'):
            assert kept in wrong.text
        assert SECRET not in wrong.text
        nobody = await form(world, **typed(provider, people="nobody@union.example"))
        assert (nobody.status_code, 'id="people-wrong"' in nobody.text) == (422, True)
        right = await form(world, **typed(provider, people="auditor@union.example"))
        assert (right.status_code, right.headers["location"]) == (303, "/admin/sign-in?said=keep"), right.text
        async with await world.sign_in(Role.ADMIN) as admin:
            page = (await admin.get("/admin/sign-in?said=keep")).text
            shown = (await admin.get("/v1/identity-provider")).json()
            assert shown["accounts"] == [str(world.union.accounts[Role.AUDITOR])]
            assert shown["domains"] == ["more.example", "union.example"]
            for text in ("auditor@union.example", "more.example", shown["sign_in_url"], shown["redirect_uri"], "In use"):
                assert text in page
            for todo, said in (("off", "Switched off"), ("on", "In use"), ("remove", "Connect it")):
                assert (await admin.post("/admin/sign-in", data={"todo": todo})).status_code == 303
                assert said in (await admin.get("/admin/sign-in")).text
            assert (await admin.get("/admin/sign-in/remove")).status_code == 404
            assert (await admin.post("/admin/sign-in", data={"todo": "off"})).status_code == 404
            assert (await admin.post("/admin/sign-in", data={"todo": "x"})).status_code == 422


def test_plain_http_is_for_demonstrations_on_this_machine_alone() -> None:
    at_home = Settings(unsafe_links=True)
    provider_client.require_issuer(at_home, "http://127.0.0.1:9")
    for settings, issuer in (
        (Settings(), "http://127.0.0.1:9"),
        (at_home, "http://login.example.org"),
        (at_home, "http://10.0.0.1:9"),
        (at_home, "https://10.0.0.1"),
    ):
        with pytest.raises(provider_client.NotAllowed):
            provider_client.require_issuer(settings, issuer)
