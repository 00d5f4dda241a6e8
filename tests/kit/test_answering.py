"""An answer in one piece is, byte for byte, the answer that uvicorn puts together; only the packets are fewer."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.kit.answering import LINES, WHOLE, _Own, in_one_piece, lines
from app.kit.limits import Limits
from tests.malice.serving import listening, rude

BODY = b'{"kept":true}'
HEAD = [(b"content-type", b"application/json"), (b"x-frame-options", b"DENY"), (b"content-length", b"%d" % len(BODY))]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers as the path says; with the lines of the head along, where the query asks for that."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] == "/told":
        there = scope[WHOLE]
        told = repr((there, b"" if there is None else (await receive())["body"])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.body", "body": told})
    start = {"type": "http.response.start", "status": 202, "headers": list(HEAD)}
    await send({**start, LINES: lines(HEAD)} if scope["query_string"] == b"lines" else start)
    if scope["path"] == "/raises":
        raise ValueError
    if scope["path"] == "/says-nothing":
        return None
    if scope["path"] == "/in-parts":
        await send({"type": "http.response.body", "body": BODY[:5], "more_body": True})
        return await send({"type": "http.response.body", "body": BODY[5:]})
    return await send({"type": "http.response.body", "body": BODY})


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async with listening(app, Limits()) as number:
        yield number


async def answers(port: int, path: str, request: bytes) -> bytes:
    """All that is answered before the connection ends, the date left out."""
    async with rude(port) as sender:
        await sender.say(request.replace(b"PATH", path.encode()))
        said = await sender.end()
    return re.sub(rb"date: [^\r]+\r\n", b"", said.raw)


CLOSE = b"connection: close\r\ncontent-length: 0\r\n\r\n"
KEEP = b"content-length: 0\r\n\r\n"
REQUESTS = {
    "post": b"POST PATH HTTP/1.1\r\nhost: x\r\n" + CLOSE,
    "head": b"HEAD PATH HTTP/1.1\r\nhost: x\r\n" + CLOSE,
    "http 1.0": b"GET PATH HTTP/1.0\r\nhost: x\r\n\r\n",
    "two, one after the other": b"POST PATH HTTP/1.1\r\nhost: x\r\n" + KEEP + b"POST PATH HTTP/1.1\r\nhost: x\r\n" + CLOSE,
    "head first": b"HEAD PATH HTTP/1.1\r\nhost: x\r\n" + KEEP + b"GET PATH HTTP/1.1\r\nhost: x\r\n" + CLOSE,
    "body awaited": b"POST PATH HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n" + CLOSE,
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize("path", ["/whole", "/in-parts"])
async def test_the_answer_is_the_same_either_way(port: int, path: str, request_: bytes) -> None:
    plain, in_one = [await answers(port, path + query, request_) for query in ("", "?lines")]
    assert plain == in_one
    assert b"202 Accepted" in plain


@pytest.mark.parametrize("path", ["/raises", "/says-nothing"])
async def test_an_application_that_breaks_off_before_the_body_is_a_500(port: int, path: str) -> None:
    """Without the lines the head is gone by then, and all that is left is to close."""
    assert (await answers(port, path + "?lines", REQUESTS["post"])).startswith(b"HTTP/1.1 500 ")


class Cycle:
    """What of uvicorn's request is looked at, for the moments that no client can choose."""

    def __init__(self, *, gone: bool = False, paused: bool = False) -> None:
        self.disconnected, self.keep_alive, self.response_started = gone, True, False
        self.flow, self.scope, self.sent = type("Flow", (), {"write_paused": paused}), {"method": "POST"}, [""]

    async def send(self, message: Any) -> None:
        self.sent.append(message["type"])


@pytest.mark.parametrize("how", [{"gone": True}, {"paused": True}])
async def test_where_nobody_reads_the_server_decides(how: dict[str, bool]) -> None:
    cycle = Cycle(**how)
    send = in_one_piece(cycle, cycle.send)
    await send({"type": "http.response.start", "status": 202, "headers": HEAD, LINES: lines(HEAD)})
    assert cycle.sent == [""]
    await send({"type": "http.response.body", "body": BODY})
    assert cycle.sent == ["", "http.response.start", "http.response.body"]


async def test_head_and_body_come_in_one_packet(port: int) -> None:
    """On one machine a packet is what one read gives."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUESTS["post"].replace(b"PATH", b"/whole?lines"))
    assert (await reader.read(65536)).endswith(BODY)
    writer.close()


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"content-length: 2\r\n\r\nhi", b"(b'hi', b'hi')"),
        (b"content-length: 0\r\n\r\n", b"(b'', b'')"),
        (b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"(b'hi', b'hi')"),
        (b"content-length: 9\r\n\r\nhi", b"(None, b'')"),
        (b"expect: 100-continue\r\ncontent-length: 2\r\n\r\nhi", b"(None, b'')"),
    ],
)
async def test_a_body_that_came_along_is_there_at_once(port: int, request_: bytes, told: bytes) -> None:
    """Also to be received as ever; what has not come whole, or waits to be asked for, is only to be received."""
    head = b"POST /told HTTP/1.1\r\nhost: x\r\n"
    async with rude(port) as sender:
        await sender.say(head + request_)
        assert (await sender.reader.readuntil(b")")).endswith(told)


def test_what_the_server_says_of_itself_is_written_anew_when_it_changes() -> None:
    own = _Own()
    for fields in ([(b"date", b"one")], [(b"date", b"two")], []):
        assert own.lines_of(fields) == own.lines_of(fields) == lines(fields)


def test_a_header_field_is_noted_as_uvicorn_notes_it() -> None:
    """`Guarded.on_header` has these lines too. Where uvicorn's change, look whether ours must."""
    theirs = [line.strip() for line in inspect.getsource(HttpToolsProtocol.on_header).splitlines()]
    assert theirs == [
        "def on_header(self, name: bytes, value: bytes) -> None:",
        "name = name.lower()",
        'if name == b"expect" and value.lower() == b"100-continue":',
        "self.expect_100_continue = True",
        "self.headers.append((name, value))",
    ]
