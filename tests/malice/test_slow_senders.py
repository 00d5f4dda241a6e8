"""Whoever takes too long is cut off, by this process itself: heads, bodies, and what comes after an answer. K8, D1."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse

from app.kit import errors, serving, slow
from app.kit.edge import Edge
from app.kit.limits import Limits
from tests.malice.serving import listening, rude

HASTY = Limits(head_seconds=0.4, body_seconds=1.5, body_rate=20_000, most_connections=40, most_requests=20)
SLACK = 8.0
"""Seconds: this machine may have a lot to do."""

HEAD = b"POST /take HTTP/1.1\r\nHost: x\r\n"


class AtOnce:
    """In front of the application: answers one path without waiting for anything, as the gateway refuses a known forger."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/at-once":
            return await self.app(scope, receive, send)
        return await errors.problem_response(errors.Problem(401, "No."))(scope, receive, send)


def application() -> FastAPI:
    app = FastAPI()
    errors.register(app)
    app.add_middleware(Edge)
    app.add_middleware(AtOnce)
    app.state.context = type("World", (), {"settings": HASTY})()

    @app.post("/take")
    async def take(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    @app.post("/refuse")
    async def refuse() -> None:
        raise errors.Problem(401, "No.")

    @app.get("/wait")
    async def wait() -> PlainTextResponse:
        await asyncio.sleep(2.5)  # long enough for the whole crowd to arrive, however busy the machine is
        return PlainTextResponse("waited")

    return app


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(slow, "GRACE", 0.4)
    monkeypatch.setattr(serving, "LINGER_SECONDS", 0.6)
    async with listening(application(), HASTY) as where:
        yield where


async def test_a_head_that_drips_in_is_cut_off_with_a_reason(port: int) -> None:
    async with rude(port) as sender:
        await sender.say(b"GET /take HTTP/1.1\r\n")
        dripping = asyncio.create_task(sender.drip(b"X-A: b\r\n", 0.05, 400))
        said = await sender.end()
        await dripping
    assert said.statuses == [408]
    assert b"application/problem+json" in said.raw
    assert said.seconds < SLACK


@pytest.mark.parametrize("drop", [b"", b"\r\n"], ids=["nothing", "empty lines"])
async def test_who_connects_and_says_nothing_is_let_go(port: int, drop: bytes) -> None:
    async with rude(port) as sender:
        dripping = asyncio.create_task(sender.drip(drop, 0.05, 400))
        said = await sender.end()
        await dripping
    assert (said.raw, said.seconds < SLACK) == (b"", True)


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
async def test_a_body_that_drips_in_is_cut_off(port: int, framing: bytes) -> None:
    piece = b"1\r\nx\r\n" if b"chunked" in framing else b"x"
    async with rude(port) as sender:
        await sender.say(HEAD + framing)
        dripping = asyncio.create_task(sender.drip(piece, 0.05, 400))
        said = await sender.end()
        await dripping
    assert said.statuses == [408]
    assert b"connection: close" in said.raw.lower()
    assert said.seconds < SLACK


async def test_a_body_that_keeps_the_rate_has_until_the_deadline_and_not_longer(port: int) -> None:
    async with rude(port) as sender:
        await sender.say(HEAD + b"Content-Length: 900000\r\n\r\n")
        dripping = asyncio.create_task(sender.drip(b"x" * 8000, 0.05, 100))
        said = await sender.end()
        await dripping
    assert said.statuses == [408]
    assert 1.4 <= said.seconds < SLACK


async def test_a_body_in_time_is_taken_and_the_connection_goes_on(port: int) -> None:
    async with rude(port) as sender:
        for _ in range(3):
            await sender.say(HEAD + b"Content-Length: 60000\r\n\r\n")
            await sender.drip(b"x" * 10_000, 0.03, 6)
            async with asyncio.timeout(SLACK):
                answer = await sender.reader.readuntil(b"60000")
            assert b" 200 " in answer


@pytest.mark.long
async def test_a_slow_answer_of_ours_is_nobodys_fault(port: int) -> None:
    """Longer than a head may take; with the next head begun already, which then comes too late."""
    async with rude(port) as sender:
        await sender.say(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /wa")
        said = await sender.end()
    assert said.statuses == [200]
    assert b"waited" in said.raw


async def test_what_comes_after_a_refusal_is_not_listened_to_for_ever(port: int) -> None:
    async with rude(port) as sender:
        await sender.say(HEAD.replace(b"take", b"refuse") + b"Content-Length: 1000000\r\n\r\n")
        dripping = asyncio.create_task(sender.drip(b"x", 0.05, 400))
        said = await sender.end()
        await dripping
    assert said.statuses == [401]
    assert said.seconds < SLACK


async def test_who_finishes_after_a_refusal_may_go_on(port: int) -> None:
    async with rude(port) as sender:
        await sender.say(HEAD.replace(b"take", b"refuse") + b"Content-Length: 4\r\n\r\nab")
        await sender.reader.readuntil(b'"No."}')
        await sender.say(b"cd" + HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nxy")
        said = await sender.end()
    assert said.statuses == [200]


BOUNDS: dict[str, tuple[bytes, list[int]]] = {
    "a long address": (b"GET /" + b"x" * 3000 + b" HTTP/1.1\r\n\r\n", [414]),
    "an address without end": (b"GET /" + b"x" * 300_000, [414]),
    "as long as it may be": (b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", [404]),
    "many fields": (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 101 + b"\r\n", [431]),
    "as many as there may be": (b"GET /x HTTP/1.1\r\n" + b"X-A: b\r\n" * 99 + b"Connection: close\r\n\r\n", [404]),
    "a large field": (b"GET / HTTP/1.1\r\nX-A: " + b"b" * 17_000 + b"\r\n\r\n", [431]),
    "a field without end": (b"GET / HTTP/1.1\r\nX-A: " + b"b" * 30_000, [431]),
    "a name without end": (b"GET / HTTP/1.1\r\n" + b"b" * 30_000, [431]),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello", [400]),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", [400]),
    "a length and chunks": (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [400]),
    "no length at all": (HEAD + b"Content-Length: abc\r\n\r\n", [400]),
    "a length below nought": (HEAD + b"Content-Length: -1\r\n\r\n", [400]),
    "a chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", [400]),
    "a folded field": (HEAD + b"X-A: b\r\n c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", [200, 400]),
    "another protocol": (HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", [200]),
}


@pytest.mark.share
@pytest.mark.parametrize("name", BOUNDS)
async def test_heads_have_bounds_each_with_its_own_answer(port: int, name: str) -> None:
    request, statuses = BOUNDS[name]
    async with rude(port) as sender:
        for start in range(0, len(request), 20_000):  # not all in one piece
            await sender.say(request[start : start + 20_000])
            await asyncio.sleep(0.01)
        said = await sender.end()
    assert len(said.statuses) == 1
    assert said.statuses[0] in statuses, said.raw
    assert said.seconds < SLACK


@pytest.mark.long
async def test_more_requests_than_can_be_worked_on_are_told_to_come_again(port: int) -> None:
    limits = httpx.Limits(max_connections=35)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=SLACK, trust_env=False) as client:
        answers = await asyncio.gather(*(client.get("/wait") for _ in range(35)))
    assert {answer.status_code for answer in answers} == {200, 503}
    assert sum(answer.status_code == 200 for answer in answers) == 20
    for answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "5"
            assert answer.headers["content-type"] == "application/problem+json"
            assert "connection" not in answer.headers, "a new connection would cost both sides more than the answer did"


async def test_who_is_answered_without_waiting_takes_nobodys_place(port: int) -> None:
    """Three times as many at once as may be in work, each refused at its first step: not one is told to come again."""
    limits = httpx.Limits(max_connections=36)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=SLACK, trust_env=False) as client:
        answers = await asyncio.gather(*(client.get("/at-once") for _ in range(36)))
    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.long
async def test_who_is_told_to_come_again_takes_nobodys_place(port: int) -> None:
    """A crowd that is refused again and again is not in work: whoever is accepted is accepted as before."""
    limits = httpx.Limits(max_connections=38, max_keepalive_connections=38)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=SLACK, trust_env=False) as client:
        for _ in range(3):
            answers = await asyncio.gather(*(client.get("/wait") for _ in range(36)))
            assert sum(answer.status_code == 200 for answer in answers) == 20


async def test_idle_connections_keep_nobody_out_for_long(port: int) -> None:
    """Many more than may be there: each is let go in time, and then everybody is served again."""
    holders = [await asyncio.open_connection("127.0.0.1", port) for _ in range(120)]
    began = time.monotonic()
    statuses: list[int] = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=SLACK, trust_env=False) as client:
        while time.monotonic() - began < SLACK and 200 not in statuses:
            statuses.append((await client.post("/take", content=b"x")).status_code)
            await asyncio.sleep(0.05)
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}
    for _, writer in holders:
        writer.close()


async def test_a_guarded_server_answers_as_before() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse("ok")(scope, receive, send)

    server = listening(app, Limits())
    async with server as where, httpx.AsyncClient(base_url=f"http://127.0.0.1:{where}", trust_env=False) as client:
        assert [(await client.get("/")).text for _ in range(20)] == ["ok"] * 20
