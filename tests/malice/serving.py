"""The real application behind the real server, on a port of this machine, and raw sockets to be rude with. No tests here."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from app.kit.accepting import Server
from app.kit.limits import Limits
from app.kit.serving import server_options
from tests.support.world import World

PATIENCE = 30.0


class Quiet(Server):
    """Harmline's own server, in the middle of a test run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals are the test run's."""
        yield


@asynccontextmanager
async def listening(app: Any, limits: Limits) -> AsyncIterator[int]:
    """Serve an application as `harmline serve` does; its port."""
    server = Quiet(uvicorn.Config(app, lifespan="on", timeout_graceful_shutdown=1, **server_options(limits)))
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as place:
        serving = asyncio.create_task(server.serve(sockets=[place]))
        try:
            async with asyncio.timeout(PATIENCE):
                while not server.started:
                    assert not serving.done(), "the server did not start"
                    await asyncio.sleep(0.01)
            yield place.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def served(world: World) -> AsyncIterator[tuple[int, httpx.AsyncClient]]:
    """The world's application on a real port, and a client of it that keeps its connections."""
    async with listening(world.app, world.context.settings) as port:
        origin = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=origin, timeout=PATIENCE, trust_env=False) as client:
            yield port, client


@dataclass
class Said:
    """What a server said on one connection before it closed it, and how long that took in seconds."""

    raw: bytes
    seconds: float

    @property
    def statuses(self) -> list[int]:
        """Of every answer, in order."""
        return [int(line.split(b" ")[1]) for line in self.raw.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


@dataclass
class Rude:
    """One TCP connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    began: float = field(default_factory=time.monotonic)

    async def say(self, data: bytes) -> bool:
        """Send bytes; whether the other side still took them."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            return False
        return not self.writer.is_closing()

    async def drip(self, data: bytes, every: float, times: int) -> None:
        """The same bytes again and again, until somebody has had enough."""
        for _ in range(times):
            if not await self.say(data) or self.reader.at_eof():
                return
            await asyncio.sleep(every)

    async def end(self) -> Said:
        """All that comes until the other side closes."""
        said = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(OSError):
                while piece := await self.reader.read(65536):
                    said += piece
        return Said(said, time.monotonic() - self.began)


async def raw_post(port: int, path: str, fields: list[tuple[bytes, bytes]], body: bytes) -> Said:
    """One POST with exactly these header fields, whatever is in them."""
    fields = [(b"host", b"x"), (b"connection", b"close"), (b"content-length", b"%d" % len(body)), *fields]
    head = b"POST %s HTTP/1.1\r\n" % path.encode() + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n"
    async with rude(port) as sender:
        await sender.say(head + body)
        return await sender.end()


@asynccontextmanager
async def rude(port: int) -> AsyncIterator[Rude]:
    """A connection to the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Rude(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
