"""How the web server lets senders in: all who knock at once, not one in each turn of the event loop.

libuv accepts one connection a turn. A turn is short where there is little to do; where a thousand senders keep the process
busy it is not, and then whoever knocks last waits for as long as the crowd stays. So the listening sockets are read here too.
"""

import asyncio
import resource
import socket
from typing import Any

import structlog
import uvicorn

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 128
"""Connections that are accepted in one go: those that are there already get their turn in between."""

NO_MORE_FILES_SECONDS = 0.5
"""How long nobody is let in when the process may open no more files: asking again at once would be all that it does."""


BESIDES = 512
"""Files that a process has open besides its senders' connections."""


def allow_connections(most: int) -> None:
    """Let this process open as many files as it takes, as far as the system lets it; the log says when that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + BESIDES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("the system allows too few open files for so many connections", allowed=allowed, wanted=wanted)


class Server(uvicorn.Server):
    """uvicorn's server with doors that open wider."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, and accept beside it."""
        await super().startup(sockets)
        self._doors: list[socket.socket] = []
        self._entering: set[asyncio.Task[Any]] = set()
        listening = [one for server in self.servers for one in server.sockets]
        for one in listening:
            door = socket.socket(fileno=socket.dup(one.fileno()))
            self._doors.append(door)
            self._open(door)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, and then as uvicorn does."""
        for door in self._doors:
            asyncio.get_running_loop().remove_reader(door)
            door.close()
        self._doors.clear()
        await super().shutdown(sockets)

    def _open(self, door: socket.socket) -> None:
        if door in self._doors:
            asyncio.get_running_loop().add_reader(door, self._accept, door)

    def _accept(self, door: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                came, _ = door.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("nobody can be let in", error=type(error).__name__, errno=error.errno)
                loop = asyncio.get_running_loop()
                loop.remove_reader(door)
                loop.call_later(NO_MORE_FILES_SECONDS, self._open, door)
                return
            self._let_in(came)

    def _let_in(self, came: socket.socket) -> None:
        came.setblocking(False)
        loop = asyncio.get_running_loop()
        entering = loop.create_task(loop.connect_accepted_socket(self._protocol, came, ssl=self.config.ssl))
        self._entering.add(entering)
        entering.add_done_callback(self._entered)

    def _entered(self, entering: asyncio.Task[Any]) -> None:
        self._entering.discard(entering)
        if not entering.cancelled() and (error := entering.exception()) is not None:
            log.info("a sender was gone before it was let in", error=type(error).__name__)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
