"""The fake provider and the one HTTP client, over a real socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from connectors.http import HttpError, client
from connectors.standard.connector import Standard
from connectors.standard.sandbox import Delivered, StandardSender, sign
from connectors.verifiers import Outcome, Secret, StandardWebhooks
from tests.connectors.suite import Case, cases, described

NOW = datetime(2026, 3, 2, 16, tzinfo=UTC)
SECRET = Secret("k", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
VERIFIER = StandardWebhooks()


@dataclass
class Receiver:
    """A tiny HTTP server that checks what it is sent, as the core will."""

    url: str = ""
    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    answer: Callable[[bytes, dict[str, str]], bytes] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.got.append((body, headers))
        if self.answer is not None:
            writer.write(self.answer(body, headers))
        else:
            authentic = VERIFIER.check(body, headers, [SECRET], NOW).outcome is Outcome.AUTHENTIC
            said = json.dumps({"receipt": len(self.got)}).encode() if authentic else b"no"
            status = b"202 Accepted" if authentic else b"401 Unauthorized"
            writer.write(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (status, len(said), said))
        await writer.drain()
        if not self.url.endswith("/silent"):
            writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{port}/webhooks/c1/a-secret-token"
    yield receiver
    server.close()


@pytest.mark.parametrize("case", cases("standard"), ids=str)
async def test_every_fixture_goes_the_whole_way(receiver: Receiver, case: Case) -> None:
    async with StandardSender(receiver.url, SECRET.value) as sender:
        assert await sender.send(case.body, at=NOW) == Delivered(202, {"receipt": 1})
    [(body, headers)] = receiver.got
    assert body == case.body
    assert headers["content-type"] == "application/json"
    assert described(Standard(), body) == case.expected


async def test_a_forged_delivery_is_told_so(receiver: Receiver) -> None:
    async with StandardSender(receiver.url, SECRET.value) as sender:
        assert await sender.send_forged(b"{}", at=NOW) == Delivered(401, None)


async def test_a_second_attempt_bears_the_same_id_another_body_another(receiver: Receiver) -> None:
    async with StandardSender(receiver.url, SECRET.value) as sender:
        for body in (b"{}", b"{}", b"[]"):
            await sender.send(body, at=NOW)
        await sender.send(b"{}", at=NOW, message_id="msg_own")
    ids = [headers["webhook-id"] for _, headers in receiver.got]
    assert ids[0] == ids[1] != ids[2]
    assert ids[3] == "msg_own"


def test_what_is_no_utf8_cannot_be_signed() -> None:
    with pytest.raises(UnicodeDecodeError):
        sign(SECRET.value, b"\xff", at=NOW)


async def test_no_address_is_logged(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with StandardSender(receiver.url, SECRET.value) as sender:
            await sender.send(b"{}", at=NOW)
    assert "a-secret-token" not in caplog.text


async def test_a_redirect_is_an_answer_not_a_way(receiver: Receiver) -> None:
    receiver.answer = lambda *_: b"HTTP/1.1 302 Found\r\nlocation: /other\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    async with StandardSender(receiver.url, SECRET.value) as sender:
        assert await sender.send(b"{}", at=NOW) == Delivered(302, None)
    assert len(receiver.got) == 1


async def test_the_environments_proxy_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with client() as http:
        response = await http.post(receiver.url, content=b"{}")
    assert response.status_code == 401


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nslow"], ids=["silent", "halting"])
async def test_the_total_deadline_holds_over_the_whole_answer(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = lambda *_: answer
    receiver.url += "/silent"
    async with client(read=60, total=0.1) as http:
        with pytest.raises(HttpError):
            await http.post(receiver.url, content=b"{}")


async def test_nobody_there_is_an_http_error() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with StandardSender(f"http://127.0.0.1:{port}/", SECRET.value) as sender:
        with pytest.raises(HttpError):
            await sender.send(b"{}", at=NOW)
