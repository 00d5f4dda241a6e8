"""Mail servers that say exactly these bytes, and a client without patience. Importable; holds no tests."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.here import sandbox_allowed
from connectors.mailbox import MailboxClient

OUTSIDE = "93.184.216.34"
NAME = "imap.example.org"
USER, PASSWORD, FOLDER = "avery.invented", "invented-secret", "Alerts of Avery"
OPENED = (b"{tag} OK\r\n", b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n{tag} OK [READ-ONLY]\r\n")
Talk = Callable[["Line"], Awaitable[None]]


@dataclass
class Line:
    """One connection that a client has made."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes]

    async def hear(self) -> bytes:
        """The next command; its tag."""
        line = await self.reader.readuntil(b"\r\n")
        self.heard.append(line)
        return line.split(b" ")[0]

    async def say(self, said: bytes) -> None:
        self.writer.write(said)
        await self.writer.drain()

    async def answer(self, *answers: bytes) -> None:
        """One answer for each command, whatever it is."""
        for said in answers:
            await self.say(said.replace(b"{tag}", await self.hear()))


@dataclass
class Server:
    port: int
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def address(self) -> str:
        return f"imap://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None, greeting: bytes = b"* OK Hello\r\n") -> AsyncIterator[Server]:
    """A mail server that does as `talk` says, then waits for the client to leave."""
    running: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running[task] = writer
        made.connections += 1
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            writer.write(greeting)
            await talk(Line(reader, writer, made.heard))
            await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made = Server(server.sockets[0].getsockname()[1])
    with sandbox_allowed(made.address):
        yield made
    server.close()
    for task, writer in running.items():
        writer.transport.abort()
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def client(address: str, **options: Any) -> MailboxClient:
    usual: dict[str, Any] = {"requests_per_minute": 600_000.0, "connect": 5.0, "read": 5.0, "total": 8.0}
    return MailboxClient(address, **{**usual, **options})


async def opened(box: MailboxClient) -> int:
    return await box.open(USER, PASSWORD, FOLDER)


def in_the_folder(*answers: bytes) -> Talk:
    """A server that lets anybody in, then says these."""

    async def talk(line: Line) -> None:
        await line.answer(*OPENED, *answers)

    return talk


async def says_nothing(_: Line) -> None:
    return
