"""What was ended in one process is over in every other at once: two over one database, the other asked all the time."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import httpx
import pytest

from app.access.roles import Role
from tests.support.world import Filled, make_world


@pytest.mark.parametrize("how", ["role", "erasure", "everywhere"])
async def test_what_was_ended_in_one_process_is_over_in_every_other(filled_database: tuple[str, Filled], how: str) -> None:
    """Nobody is told of it: no process remembers a session or a token from one request to the next."""
    role = Role.MEMBER if how == "erasure" else Role.STAFF
    async with make_world(*filled_database) as here, make_world(*filled_database) as there, AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(await here.sign_in(role)) for _ in range(4)]
        elsewhere = [await stack.enter_async_context(there.browser(dict(browser.cookies))) for browser in browsers * 4]
        seen: list[tuple[float, int]] = []
        all_ask = asyncio.Event()

        async def go_on(browser: httpx.AsyncClient) -> None:
            while not seen or seen[-1][1] == 200:
                began = time.monotonic()
                seen.append((began, (await browser.get("/v1/me")).status_code))
                if len(seen) >= len(elsewhere):
                    all_ask.set()

        going_on = [asyncio.create_task(go_on(browser)) for browser in elsewhere]
        await all_ask.wait()
        async with await here.sign_in(Role.ADMIN) as admin:
            if how == "role":
                answer = await admin.delete(f"/v1/accounts/{here.union.accounts[Role.STAFF]}/roles/staff")
            elif how == "erasure":
                answer = await admin.post(f"/v1/members/{here.union.members['M-1']}/erasure")
            else:
                answer = await browsers[0].post("/sign-out/everywhere")
        ended = time.monotonic()
        assert answer.status_code in (204, 303), answer.text
        await asyncio.gather(*going_on)
        assert {(await browser.get("/v1/me")).status_code for browser in elsewhere} == {401}
        assert [status for began, status in seen if began > ended and status != 401] == []
        assert {status for _, status in seen} == {200, 401}
