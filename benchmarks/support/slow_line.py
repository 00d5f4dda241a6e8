"""A line to the store on which everything is under way for a while: what makes a store slow that costs no processor."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class SlowLine:
    """Passes on to `target` what comes in on `port`, in order, `delay` seconds after it came; `delay` may change at any time."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.delay = 0.0

    async def start(self) -> asyncio.Server:
        """Listen on a port of its own."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._pass(reader, there_writer)),
            asyncio.create_task(self._pass(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way, end in zip(ways, (there_writer, writer), strict=True):
                way.cancel()
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, under_way = asyncio.get_running_loop(), deque[bytes]()
        while data := await reader.read(1 << 20):
            under_way.append(data)
            loop.call_later(self.delay, lambda: writer.write(under_way.popleft()))
        await asyncio.sleep(self.delay)


@contextmanager
def slow_line(target: int) -> Iterator[SlowLine]:
    """One that runs in a thread of its own while this is open; at first it delays nothing."""
    line, ready, loop = SlowLine(target), threading.Event(), asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(line.start())
        finally:
            ready.set()
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
