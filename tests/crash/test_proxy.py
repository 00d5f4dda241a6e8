"""The proxy of the rigs does what the weather says, or what was seen behind it says nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.proxy import Proxy, Weather

DELAY = 0.8
PATIENCE = 10.0
BYE = b"goodbye"


@dataclass
class Line:
    """A line through a proxy to somebody who says everything again, and goes after a goodbye."""

    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, word: bytes) -> float:
        """Seconds until it came back."""
        began = time.monotonic()
        self.writer.write(word)
        assert await asyncio.wait_for(self.reader.readexactly(len(word)), PATIENCE) == word
        return time.monotonic() - began


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
        if data == BYE:
            break
    writer.close()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1], DELAY)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield Line(proxy, reader, writer)
    writer.close()
    await proxy.close()
    server.close()


async def test_slow_is_a_while_each_way_however_much_is_said_and_over_when_it_is_fair(line: Line) -> None:
    await line.say(b"first")
    line.proxy.become(Weather.SLOW)
    began = time.monotonic()
    for number in range(20):
        line.writer.write(b"%2d" % number)
        await asyncio.sleep(0.01)
    told = await asyncio.wait_for(line.reader.readexactly(40), PATIENCE)
    took = time.monotonic() - began
    assert told == b"".join(b"%2d" % number for number in range(20)), "in order"
    assert took >= 2 * DELAY
    assert took < 20 * DELAY, "what follows does not wait for what went before"
    line.writer.write(b"late")
    await asyncio.sleep(0.02)
    line.proxy.become(Weather.FAIR)
    began = time.monotonic()
    line.writer.write(b"soon")
    assert await asyncio.wait_for(line.reader.readexactly(8), PATIENCE) == b"latesoon"
    assert time.monotonic() - began < DELAY / 2, "what was under way has arrived, too"


async def test_slow_again_is_slow_for_what_is_said_then(line: Line) -> None:
    await line.say(b"first")
    line.proxy.become(Weather.SLOW)
    line.writer.write(b"a")
    await asyncio.sleep(DELAY / 2)
    line.proxy.become(Weather.FAIR)
    line.writer.write(b"b")
    assert await asyncio.wait_for(line.reader.readexactly(2), PATIENCE) == b"ab"
    line.proxy.become(Weather.SLOW)
    assert await line.say(b"c") >= 2 * DELAY


async def test_what_is_under_way_arrives_before_the_line_ends(line: Line) -> None:
    await line.say(b"first")
    line.proxy.become(Weather.SLOW)
    assert await line.say(BYE) >= 2 * DELAY
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(line.reader.readexactly(1), PATIENCE)


async def test_deaf_is_nothing_and_no_end_and_cut_is_the_end(line: Line) -> None:
    await line.say(b"first")
    line.proxy.become(Weather.DEAF)
    line.writer.write(b"lost")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(line.reader.read(1), DELAY)
    line.proxy.become(Weather.FAIR)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(line.reader.readexactly(4), PATIENCE)
    line.proxy.become(Weather.CUT)
    reader, writer = await asyncio.open_connection("127.0.0.1", line.proxy.port)
    writer.write(b"new")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(3), PATIENCE)
