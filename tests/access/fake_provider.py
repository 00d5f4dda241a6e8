"""An OpenID provider of ours, on real HTTP, that does what it is told: also to lie, to be slow, huge, or away."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.access.gate import cookie_name
from app.access.roles import Role
from app.kit import clock
from app.kit.letters import Letter
from connectors.http import sandbox_allowed
from tests.support.world import World
from tests.web.browsing import free_socket

CLIENT, SECRET = "harmline-at-the-union", "not-so-secret-in-a-test"
Answer = Callable[[Request], Any]


@cache
def signing_key(number: int = 0) -> RSAKey:
    """A key pair; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": f"key-{number}", "use": "sig", "alg": "RS256"})


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hand_made(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token as no library makes it."""
    said = ".".join(text(json.dumps(part).encode()) for part in (header, claims))
    return f"{said}.{text(sign(said.encode()))}"


@dataclass
class Grant:
    """What one code stands for: the question of the browser, and what is to be said of whom."""

    asked: Mapping[str, str]
    claims: Mapping[str, Any]


@dataclass
class FakeProvider:
    """`sign`: how claims become a token. `instead`: answers of a path that are not the right ones. `asked`: paths, in order."""

    issuer: str
    secret: str = SECRET
    keys: list[RSAKey] = field(default_factory=lambda: [signing_key()])
    description: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[Mapping[str, Any]], str | None] | None = None
    instead: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)

    def code(self, asked: Mapping[str, str], subject: str = "subject-1", **claims: Any) -> str:
        """A code for somebody who showed who they are: staff, with their address verified, unless told otherwise."""
        code, now = secrets.token_urlsafe(16), int(clock.now().timestamp())
        said = {
            "iss": self.issuer,
            "sub": subject,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "email": "staff@union.example",
            "email_verified": True,
            "auth_time": now,
            **claims,
        }
        self.grants[code] = Grant(asked, {name: value for name, value in said.items() if value is not None})
        return code

    def token_of(self, claims: Mapping[str, Any]) -> str | None:
        if self.sign is not None:
            return self.sign(claims)
        return jwt.encode({"alg": "RS256", "kid": self.keys[0].kid}, dict(claims), self.keys[0], ["RS256"])

    async def answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if request.url.path in self.instead:
            other = self.instead[request.url.path](request)
            return await other if asyncio.iscoroutine(other) else other  # type: ignore[no-any-return]
        if request.url.path == "/jwks":
            return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})
        if request.url.path == "/userinfo":
            return JSONResponse(self.userinfo[request.headers.get("authorization", "")])
        if request.url.path == "/token":
            return await self.exchanged(request)
        said = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return JSONResponse({**said, **self.description})

    async def exchanged(self, request: Request) -> Response:
        """The exchange, as strict as the standard: our secret, our redirect address, the verifier, each code once."""
        sent = dict(parse_qsl((await request.body()).decode()))
        ours = "Basic " + base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        grant = self.grants.pop(sent.get("code", ""), None)
        if request.headers.get("authorization") != ours:
            return JSONResponse({"error": "invalid_client"}, 401)
        challenge = text(hashlib.sha256(sent.get("code_verifier", "").encode()).digest())
        right = grant is not None and sent.get("redirect_uri") == grant.asked["redirect_uri"]
        if not right or grant is None or grant.asked["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = self.token_of(grant.claims)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", **({"id_token": token} if token else {})})


@asynccontextmanager
async def serving() -> AsyncIterator[FakeProvider]:
    """A provider on a free port, which the outgoing client may reach in this block."""
    listening = free_socket()
    provider = FakeProvider(f"http://127.0.0.1:{listening.getsockname()[1]}")
    routes = [Route("/{path:path}", provider.answer, methods=["GET", "POST"])]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    with sandbox_allowed(provider.issuer):
        try:
            yield provider
        finally:
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                await task


@dataclass
class Connected:
    """A world whose union has connected a provider."""

    world: World
    provider: FakeProvider
    id: str

    async def go(self, browser: httpx.AsyncClient, path: str = "") -> dict[str, str]:
        """Press the button; what the browser is to ask the provider."""
        answer = await browser.get(path or f"/sign-in/with/{self.id}/go")
        assert answer.status_code == 303, answer.text
        to = urlsplit(answer.headers["location"])
        assert f"{to.scheme}://{to.netloc}{to.path}" == f"{self.provider.issuer}/authorize"
        return {name: value for name, (value,) in parse_qs(to.query).items()}

    async def back(self, browser: httpx.AsyncClient, asked: Mapping[str, str], code: str, **change: Any) -> httpx.Response:
        """Come back with a code, from the provider's site."""
        params = {"state": asked["state"], "code": code, "iss": self.provider.issuer, **change}
        sent = {name: value for name, value in params.items() if value is not None}
        return await browser.get("/sign-in/provider/callback", params=sent, headers={"sec-fetch-site": "cross-site"})

    async def sign_in(self, browser: httpx.AsyncClient, subject: str = "subject-1", **claims: Any) -> httpx.Response:
        """There and back."""
        asked = await self.go(browser)
        return await self.back(browser, asked, self.provider.code(asked, subject, **claims))


def wanted(provider: FakeProvider, **change: Any) -> dict[str, Any]:
    """What an admin sends to connect it."""
    body = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": provider.secret, "domains": ["union.example"]}
    return {**body, **change}


async def connect(world: World, provider: FakeProvider, **change: Any) -> Connected:
    """Connect a provider over the API."""
    async with await world.sign_in(Role.ADMIN) as admin:
        answer = await admin.post("/v1/identity-provider", json=wanted(provider, **change))
    assert answer.status_code == 200, answer.text
    return Connected(world, provider, answer.json()["id"])


async def rows(world: World, model: Any) -> list[Any]:
    async with world.context.database.begin(read_only=True) as tx:
        return list((await tx.execute(select(model).execution_options(populate_existing=True))).scalars())


async def letters(world: World, kind: str) -> set[Any]:
    return {letter.recipient for letter in await rows(world, Letter) if letter.kind == kind}


def signed_in(world: World, browser: httpx.AsyncClient) -> bool:
    return cookie_name(world.context.settings) in browser.cookies


async def staff_in(own: Connected, browser: httpx.AsyncClient) -> None:
    assert (await own.sign_in(browser)).status_code == 303
    assert (await browser.get("/v1/me")).status_code == 200
