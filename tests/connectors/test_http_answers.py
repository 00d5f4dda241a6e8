"""What the outgoing client makes of answers, and that none of its errors says where, whom or with what it asked. Real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from connectors.asking import CredentialsRefused, Http, NotAllowed, ProviderError, TryLater, UnexpectedAnswer
from connectors.sandboxing import Fault, Happening, Sandbox, serving
from tests.connectors.http_stage import answer, asking, saying, told_by

# By name only, below: a traceback quotes the lines of this file.
SECRETS = IN_HEADER, IN_QUERY, IN_PATH, IN_BODY = ("hush-header", "hush-query", "person-4711", "hush-body")

KINDS: dict[Fault, tuple[type[ProviderError], str]] = {
    Fault.LIMITED_SECONDS: (TryLater, "unreachable"),
    Fault.LIMITED_DATE: (TryLater, "unreachable"),
    Fault.BROKEN: (TryLater, "unreachable"),
    Fault.AWAY: (TryLater, "unreachable"),
    Fault.REFUSED: (CredentialsRefused, "credentials"),
    Fault.HTML: (UnexpectedAnswer, "unexpected"),
    Fault.NOT_JSON: (UnexpectedAnswer, "unexpected"),
    Fault.REDIRECT: (UnexpectedAnswer, "unexpected"),
    Fault.DRIP: (TryLater, "unreachable"),
    Fault.ENDLESS: (UnexpectedAnswer, "unexpected"),
    Fault.BOMB: (UnexpectedAnswer, "unexpected"),
    Fault.CUT: (TryLater, "unreachable"),
    Fault.HANG: (TryLater, "unreachable"),
}
ONCE = {
    Fault.REFUSED,
    Fault.HTML,
    Fault.NOT_JSON,
    Fault.REDIRECT,
    Fault.ENDLESS,
    Fault.BOMB,
    Fault.LIMITED_SECONDS,
    Fault.LIMITED_DATE,
}


class Echo(Sandbox):
    """Answers everything with an empty object."""

    name = "echo"

    def routes(self) -> Sequence[BaseRoute]:
        async def ok(_: Request) -> JSONResponse:
            return JSONResponse({})

        return [Route("/{rest:path}", ok, methods=["GET", "POST"])]

    def settings(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url}

    def enrol(self, reference: str) -> None:
        raise KeyError(reference)

    def tell(self, happening: Happening) -> str | None:
        return None


def real_now() -> datetime:
    return datetime.now(UTC)


async def ask(http: Http, method: str) -> None:
    headers = {"authorization": f"Bearer {IN_HEADER}"}
    if method == "get":
        await http.get(f"/a/{IN_PATH}", params={"q": IN_QUERY}, headers=headers)
    else:
        await http.post(f"/a/{IN_PATH}", json={"q": IN_BODY}, headers=headers)


@pytest.mark.parametrize("method", ["get", "post"])
async def test_every_fault_is_told_in_our_own_words_and_nothing_else(method: str, caplog: pytest.LogCaptureFixture) -> None:
    sandbox = Echo(real_now)
    async with serving(sandbox) as url:
        with caplog.at_level(logging.DEBUG):
            for fault, (kind, state) in KINDS.items():
                sandbox.faults.seen.clear()
                sandbox.misbehave(fault, times=99, seconds=60)
                async with asking(url, read=0.15, total=0.6, now=real_now) as http:
                    with pytest.raises(ProviderError) as caught:
                        await ask(http, method)
                sandbox.behave()
                told = "".join(told_by(caught.value))
                assert isinstance(caught.value, kind), fault
                assert (caught.value.__cause__, caught.value.__context__) == (None, None), fault
                assert caught.value.state == state
                assert not [secret for secret in (*SECRETS, "127.0.0.1", url.rpartition(":")[2]) if secret in told], fault
                limited = fault in ONCE or (method == "post" and fault is not Fault.AWAY)
                assert len(sandbox.faults.seen) == (1 if limited else 3), fault
        async with asking(url) as http:
            await ask(http, method)
    assert set(KINDS) == set(Fault)
    # Uvicorn stands for the provider here; what its own log says is not ours.
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    assert not [line for line in ours if any(secret in line for secret in SECRETS)]


@given(st.text(min_size=8, alphabet=st.characters(codec="utf-8")))
def test_no_error_quotes_what_cannot_be_sent(secret: str) -> None:
    async def all_ways() -> None:
        async with asking("https://api.example.com", resolver=nobody, attempts=1) as http:
            ways: list[Callable[[], Awaitable[Any]]] = [
                lambda: http.get("/", headers={"authorization": secret}),
                lambda: http.get("/", headers={secret: "x"}),
                lambda: http.get(secret),
                lambda: http.get("/", params={secret: secret}),
                lambda: http.post("/", json={secret: {secret}}),
                lambda: http.get("/", login=lambda: token_of(secret)),
            ]
            for way in ways:
                with pytest.raises(ProviderError) as caught:
                    await way()
                assert secret not in str(caught.value)
                assert caught.value.__cause__ is None
                assert caught.value.__context__ is None

    asyncio.run(all_ways())


async def nobody(_: str) -> list[str]:
    raise OSError(IN_PATH)


async def token_of(secret: str) -> tuple[str, float]:
    return secret, 3600.0


JSON = "application/json"


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (answer(b'{"a":1}'), b'{"a":1}'),
        (answer(b" [] \n"), b" [] \n"),
        (answer(b"null"), b"null"),
        (answer(b"[NaN]"), b"[NaN]"),
        (answer(b"[1" + b"0" * 5000 + b"]"), b"[1" + b"0" * 5000 + b"]"),
        (answer(b"{}", media_type="Application/Problem+JSON; charset=utf-8"), b"{}"),
        (answer(b"{}", "201 Created"), b"{}"),
        (answer(b"", "204 No Content", media_type=""), b""),
        (answer(gzip.compress(b"[1]"), content_encoding="gzip"), b"[1]"),
        (answer(gzip.compress(b"[1") + gzip.compress(b",2]"), content_encoding="GZIP"), b"[1,2]"),
        (answer(b"[3]", content_encoding="identity"), b"[3]"),
    ],
)
async def test_an_answer_is_handed_on_byte_for_byte(said: bytes, body: bytes) -> None:
    async with saying(said) as server, asking(server.url) as http:
        got = await http.get("/")
    assert got.body == body
    assert got.found
    assert "content-length" in got.headers


@pytest.mark.parametrize(
    "said",
    [
        *(answer(b"", "200 OK"), answer(b"", "202 Accepted"), answer(b"", "206 Partial")),
        *(answer(b"{}", media_type=""), answer(b"{}", media_type="text/html"), answer(b"{}", media_type="text/json")),
        *(answer(b"{}", media_type="application/jsonp"), answer(b"{}", media_type="image/svg+json")),
        *(
            answer(b"<html>"),
            answer(b"{"),
            answer(b"{} {}"),
            answer(b"\xff\xfe[\x00]\x00"),
            answer(b"[" * 100_000 + b"]" * 100_000),
        ),
        *(answer(b'["\xff"]'), answer(b"[" + b"0," * 1_100_000 + b"0]")),
        *(
            answer(b"{}", "300 Many"),
            answer(b"", "304 Not Modified", media_type=""),
            answer(b"{}", "400 Bad"),
            answer(b"{}", "404 None"),
        ),
        *(
            answer(b"{}", "405 No"),
            answer(b"{}", "407 Proxy"),
            answer(b"{}", "410 Gone"),
            answer(b"{}", "418 Teapot"),
            answer(b"{}", "451 Law"),
        ),
        *(answer(zlib.compress(b"{}"), content_encoding=name) for name in ("deflate", "br", "zstd", "gzip, gzip", "compress")),
        *(answer(b"{}", content_encoding="gzip"), answer(gzip.compress(b"{}")[:-4], content_encoding="gzip")),
        *(
            answer(gzip.compress(b"{}") + b"tail", content_encoding="gzip"),
            answer(gzip.compress(b"") * 100 + gzip.compress(b"{}"), content_encoding="gzip"),
        ),
        *(
            answer(b"{}", x="a" * 66_000),
            answer(b"{}", x="a" * 200_000),
            answer(b"{}", **{f"x{n}": "a" * 1000 for n in range(70)}),
        ),
    ],
)
async def test_what_the_provider_does_not_document_is_unexpected(said: bytes) -> None:
    async with saying(said) as server, asking(server.url) as http:
        with pytest.raises(UnexpectedAnswer):
            await http.get("/")
    assert len(server.asked) == 1


async def test_who_we_are_and_what_we_may_are_told_apart() -> None:
    async with saying(answer(b"{}", "401 No"), answer(b"{}", "403 No")) as server, asking(server.url) as http:
        said = []
        for _ in range(2):
            with pytest.raises(CredentialsRefused) as caught:
                await http.get("/")
            said.append(str(caught.value))
    assert "401" in said[0]
    assert "403" in said[1]


async def test_not_found_is_an_answer_only_where_it_may_be_and_no_web_page() -> None:
    missing = answer(b"", "404 Not Found", media_type="")
    documented = answer(b'{"error":"none"}', "404 Not Found")
    async with saying(missing, documented, missing) as server, asking(server.url) as http:
        for body in (b"", b'{"error":"none"}'):
            got = await http.get("/", may_miss=True)
            assert (got.status, got.found, got.body) == (404, False, body)
        with pytest.raises(UnexpectedAnswer):
            await http.get("/")
    for page in (answer(b"<h1>", "404 Not Found", media_type="text/html"), answer(b" <h1>", "404 Not Found", media_type="")):
        async with saying(page) as server, asking(server.url) as http:
            with pytest.raises(UnexpectedAnswer):
                await http.get("/", may_miss=True)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 520, 599])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    async with saying(answer(b"{}", f"{status} X"), answer(b"[1]")) as server, asking(server.url) as http:
        assert (await http.get("/")).body == b"[1]"
    assert len(server.asked) == 2


@pytest.mark.parametrize(("status", "times"), [(408, 2), (425, 2), (429, 2), (503, 2), (500, 1), (502, 1), (504, 1)])
async def test_a_post_is_sent_again_only_if_nothing_was_done_with_it(status: int, times: int) -> None:
    async with saying(answer(b"{}", f"{status} X"), answer(b"[1]")) as server, asking(server.url) as http:
        if times == 2:
            assert (await http.post("/", json={})).body == b"[1]"
        else:
            with pytest.raises(TryLater):
                await http.post("/", json={})
    assert len(server.asked) == times


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"x" * 100)[:-50])


async def gone(_: asyncio.StreamWriter) -> None:
    return


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b" " * 1000)[:-1000])
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"[" * 65536 + b"\r\n")
        await writer.drain()


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: " + b"a" * 60_000 + b"\r\n")
        await writer.drain()


async def endless_promises(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("broken", [cut, gone])
async def test_a_connection_that_breaks_off_is_tried_again(broken: Any) -> None:
    async with saying(broken, answer(b"[1]")) as server, asking(server.url) as http:
        assert (await http.get("/")).body == b"[1]"
    async with saying(broken, answer(b"[1]")) as server, asking(server.url) as http:
        with pytest.raises(TryLater):
            await http.post("/", json={})
    assert len(server.asked) == 1


async def test_nobody_there_is_tried_again_also_for_a_post() -> None:
    asked = 0

    async def counted(_: str) -> list[str]:
        nonlocal asked
        asked += 1
        return []

    async with asking("https://api.example.com", resolver=counted, attempts=3) as http:
        with pytest.raises(TryLater):
            await http.post("/", json={})
    assert asked == 3


@pytest.mark.parametrize("slow", [drip, drip_headers, endless_promises])
async def test_one_deadline_holds_over_the_whole_answer(slow: Any) -> None:
    """Each piece comes in time, so no read deadline ends it. And it is not begun again: that would be another deadline."""
    async with saying(slow) as server, asking(server.url, read=5, total=0.3) as http:
        began = time.monotonic()
        with pytest.raises(TryLater):
            await http.get("/")
        assert time.monotonic() - began < 1.5
    assert len(server.asked) == 1


@pytest.mark.parametrize("large", [endless, endless_headers])
async def test_what_has_no_end_is_ended(large: Any) -> None:
    async with saying(large) as server, asking(server.url, total=20, read=20) as http:
        with pytest.raises(UnexpectedAnswer):
            await http.get("/")
    assert len(server.asked) == 1


async def test_who_gives_up_waiting_is_let_go_at_once_and_nothing_is_asked_again() -> None:
    asked = asyncio.Event()

    async def note(writer: asyncio.StreamWriter) -> None:
        asked.set()
        await drip(writer)

    async with saying(note) as server, asking(server.url, read=5, total=20) as http:
        waiting = asyncio.create_task(http.get("/"))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await waiting
    assert len(server.asked) == 1


async def test_a_name_server_that_does_not_answer_ends_in_time() -> None:
    async def silent(_: str) -> list[str]:
        await asyncio.sleep(60)
        return []

    async with asking("https://api.example.com", resolver=silent, connect=0.05, attempts=1) as http:
        with pytest.raises(TryLater):
            await http.get("/")


def test_a_rate_that_is_none_is_the_providers_fault() -> None:
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UnexpectedAnswer):
            asking("https://api.example.com", requests_per_minute=rate)
    with pytest.raises(NotAllowed):
        asking("https://api.example.com:8443")
