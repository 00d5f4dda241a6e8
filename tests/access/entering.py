"""What people do to get in, over the real pages: make a passkey, sign with it, type a password and a code."""

from __future__ import annotations

from typing import Any

import httpx
import pyotp

from app.access import service as access
from app.access.gate import cookie_name
from app.access.roles import Role
from app.kit import clock
from tests.support.authenticator import Authenticator
from tests.support.world import World

PASSWORD = "seven quiet herons under glass"


async def link(world: World, who: str = "M-1", role: Role = Role.MEMBER) -> str:
    """The path of a one-time link for somebody."""
    async with world.context.database.begin() as tx:
        return "/sign-in/" + await access.create_link(tx, world.union.accounts[who], role)


async def make_passkey(browser: httpx.AsyncClient, key: Authenticator | None = None) -> Authenticator:
    """Make one in this browser's session."""
    key = key or Authenticator()
    options = (await browser.post("/ways-in/passkeys/options")).json()
    answer = await browser.post("/ways-in/passkeys", json={**key.create(options), "label": "phone"})
    assert answer.status_code == 200, answer.text
    return key


async def first_passkey(world: World, who: str = "M-1", role: Role = Role.MEMBER) -> Authenticator:
    """Open a link and make a passkey, in a browser that is then forgotten."""
    async with world.browser() as browser:
        assert (await browser.post(await link(world, who, role))).headers["location"] == "/welcome"
        return await make_passkey(browser)


async def sign(browser: httpx.AsyncClient, key: Authenticator, at: str = "/sign-in/passkey", **lie: Any) -> httpx.Response:
    """Sign in, or show once more that it is you, with a passkey."""
    options = (await browser.post(f"{at}/options")).json()
    return await browser.post(at, json=key.get(options, **lie))


def code_of(secret: str, steps: int = 0) -> str:
    """The code that an app shows now, or so many half minutes later."""
    return pyotp.TOTP(secret).at(int(clock.now().timestamp()) + 30 * steps)


async def make_password(browser: httpx.AsyncClient, password: str = PASSWORD) -> str:
    """Choose a password and set up the app in this browser's session; the app's secret."""
    answer = await browser.post("/ways-in/password", data={"password": password, "again": password})
    assert (answer.status_code, answer.headers.get("location")) == (303, "/ways-in/password/code"), answer.text
    page = (await browser.get("/ways-in/password/code")).text
    secret = page.partition("Type this into the app</summary><p><code>")[2].partition("<")[0]
    answer = await browser.post("/ways-in/password/code", data={"code": code_of(secret)})
    assert (answer.status_code, answer.headers.get("location")) == (303, "/ways-in"), answer.text
    return secret


async def type_in(browser: httpx.AsyncClient, email: str, password: str, code: str) -> httpx.Response:
    """Sign in with a password and a code."""
    return await browser.post("/sign-in/password", data={"member-email": email, "password": password, "code": code})


async def first_password(world: World, who: str = "M-1") -> str:
    """Open a link and make a password with a code app, in a browser that is then forgotten; the app's secret."""
    async with world.browser() as browser:
        assert (await browser.post(await link(world, who))).headers["location"] == "/welcome"
        return await make_password(browser)


def session_of(world: World, browser: httpx.AsyncClient) -> dict[str, str]:
    """This browser's session, to be carried into another."""
    name = cookie_name(world.context.settings)
    return {name: browser.cookies[name]}
