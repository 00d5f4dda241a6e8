"""A TCP proxy of our own between any two parts of a rig: it delays, cuts, or goes deaf with every line left open."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from enum import StrEnum


class Weather(StrEnum):
    """How the line is. SLOW: everything is under way for a while, in order. CUT: every line breaks, new ones too.

    DEAF: bytes are taken and go nowhere, nobody is told.
    """

    FAIR = "fair"
    SLOW = "slow"
    DEAF = "deaf"
    CUT = "cut"


class Proxy:
    """Listens on a port of its own and passes everything on to `port`, as the weather allows; `delay`: seconds, when slow."""

    def __init__(self, port: int, delay: float = 0.2) -> None:
        self._target, self._delay = port, delay
        self._weather = Weather.FAIR
        self._lines: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def become(self, weather: Weather) -> None:
        """Change the weather. After DEAF the lines that were open stay dead: what went into them is lost for ever.

        From another thread only to SLOW and FAIR.
        """
        if weather is Weather.CUT or self._weather is Weather.DEAF:
            for line in list(self._lines):
                line.transport.abort()
        self._weather = weather

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather is Weather.CUT:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        lines = {writer, there_writer}
        self._lines |= lines
        try:
            await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
        except OSError:  # one side is gone, so the other goes too
            pass
        finally:
            self._lines -= lines
            for line in lines:
                line.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, under_way = asyncio.get_running_loop(), deque[tuple[float, bytes]]()

        def arrive(until: float) -> None:
            while under_way and under_way[0][0] <= until:
                writer.write(under_way.popleft()[1])

        while data := await reader.read(1 << 20):
            if self._weather is Weather.DEAF:
                continue
            due = loop.time() + self._delay
            under_way.append((due, data))
            if self._weather is Weather.SLOW:
                loop.call_at(due, arrive, due)
            else:
                arrive(math.inf)
                await writer.drain()
        if under_way:
            await asyncio.sleep(self._delay)
        raise ConnectionResetError

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self.become(Weather.CUT)
            await self._server.wait_closed()
