"""All who knock are let in at once, however long a turn of the event loop is; and nobody any more when the server ends."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn
import uvloop

from app.kit import accepting
from app.kit.accepting import MOST_AT_ONCE, Server
from app.kit.limits import Limits
from app.kit.serving import server_options
from tests.malice.serving import Quiet

CROWD = 3 * MOST_AT_ONCE


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not so():  # noqa: ASYNC110 - uvicorn tells of it by what it holds only
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serving() -> AsyncIterator[Quiet]:
    made = Quiet(uvicorn.Config(nothing, lifespan="off", port=0, timeout_graceful_shutdown=1, **server_options(Limits())))
    running = asyncio.create_task(made.serve())
    await until(lambda: made.started)
    yield made
    made.should_exit = True
    await running


def port_of(server: Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


@contextmanager
def crowd(port: int) -> Iterator[list[socket.socket]]:
    """So many have connected: the system has them, the server has not seen one of them."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(CROWD)]


def test_a_crowd_is_in_after_a_few_turns() -> None:
    """On the loop that serves in life: it is its habit that is mended."""

    async def turns() -> int:
        async with serving() as server:
            with crowd(port_of(server)) as senders:
                taken = 0
                while len(server.server_state.connections) < CROWD and taken < CROWD:
                    taken += 1
                    await asyncio.sleep(0)
                senders[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await asyncio.to_thread(senders[-1].recv, 100)).startswith(b"HTTP/1.1 204")
            return taken

    assert uvloop.run(turns()) < CROWD / 8


async def test_who_cannot_be_let_in_now_is_let_in_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may open no more files for a while: nobody is turned away."""
    accept, asked = socket.socket.accept, itertools.count()

    def full(self: socket.socket) -> object:
        if next(asked) < 2:
            raise OSError(errno.EMFILE, "too many open files")
        return accept(self)

    monkeypatch.setattr(accepting, "NO_MORE_FILES_SECONDS", 0.05)
    monkeypatch.setattr(socket.socket, "accept", full)
    async with serving() as server:
        with crowd(port_of(server)):
            await until(lambda: len(server.server_state.connections) == CROWD)
    assert next(asked) > 2


async def test_after_the_end_nobody_is_let_in() -> None:
    async with serving() as server:
        port = port_of(server)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.parametrize(("soft", "hard", "set_to"), [(1024, 10**6, 4512), (10**5, 10**6, None), (1024, 2048, 2048)])
def test_it_may_open_as_many_files_as_it_takes(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, set_to: int | None) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(accepting.resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(accepting.resource, "setrlimit", lambda _, limits: asked.append(limits))
    accepting.allow_connections(4000)
    assert asked == ([] if set_to is None else [(set_to, hard)])
