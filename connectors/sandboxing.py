"""What every fake provider is made of: real HTTP, a memory, and the ways in which providers misbehave, on request.

A connector's `sandbox.py` derives from `Sandbox`, keeps its provider's state and speaks its provider's dialect. Whoever wants
something to happen to somebody says so as a `Happening`, the same for all providers. Faults are asked for by `misbehave`.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from connectors.asking import Asked
from connectors.http import client, sandbox_allowed
from connectors.vocabulary import AlertKind, Bureau

T = TypeVar("T")


@cache
def bomb() -> bytes:
    """64 KiB on the wire, 64 MiB when unpacked."""
    return gzip.compress(bytes(64 * 1024 * 1024), 9)


class Fault(StrEnum):
    """One way to misbehave."""

    LIMITED_SECONDS = "429, Retry-After in seconds"
    LIMITED_DATE = "429, Retry-After as a date"
    BROKEN = "500"
    AWAY = "503"
    REFUSED = "401"
    HTML = "HTML with status 200"
    NOT_JSON = "no JSON, though it says so"
    REDIRECT = "a redirect to a sign-in page"
    DRIP = "one byte a second"
    ENDLESS = "a body without an end"
    BOMB = "a small body that unpacks to a large one"
    CUT = "the connection is cut in the middle of the body"
    HANG = "no answer at all"


_STATUSES = {
    Fault.LIMITED_SECONDS: 429,
    Fault.LIMITED_DATE: 429,
    Fault.BROKEN: 500,
    Fault.AWAY: 503,
    Fault.REFUSED: 401,
}


class Manner(StrEnum):
    """How waiting notifications are pushed."""

    HONEST = "honest"
    TWICE = "each one twice"
    BACKWARDS = "the last one first"
    FORGED = "made up, and not provable"

    def arranged(self, bodies: Sequence[T]) -> list[T]:
        """The same bodies as they are sent in this manner."""
        match self:
            case Manner.TWICE:
                return [body for body in bodies for _ in range(2)]
            case Manner.BACKWARDS:
                return list(bodies[::-1])
        return list(bodies)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to one person, as a provider learns of it; `at` is when it learns."""

    reference: str
    kind: AlertKind
    at: datetime
    institution: str | None = None
    last_four: str | None = None
    amount: Decimal | None = None
    opened: date | None = None
    bureau: Bureau | None = None
    product: AlertKind | None = None


@dataclass(slots=True)
class _Asked:
    """A fault that was asked for: how many requests it still spares, how many it still meets, on which paths."""

    fault: Fault
    times: int
    path: str
    seconds: float
    after: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that came in."""

    at: datetime
    method: str
    path: str


@dataclass
class Faults:
    """The faults that wait for their requests, and the log of all requests. An ASGI layer in front of the provider."""

    now: Callable[[], datetime]
    waiting: list[_Asked] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def take(self, path: str) -> _Asked | None:
        """The fault that this request meets, if any."""
        for asked in self.waiting:
            if asked.times < 1 or not path.startswith(asked.path):
                continue
            if asked.after > 0:
                asked.after -= 1
                continue
            asked.times -= 1
            return asked
        return None

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The provider's application behind its faults."""

        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await app(scope, receive, send)
            self.seen.append(Seen(self.now(), scope["method"], scope["path"]))
            asked = self.take(scope["path"])
            if asked is None:
                return await app(scope, receive, send)
            return await (await self._answer(asked))(scope, receive, send)

        return layer

    async def _answer(self, asked: _Asked) -> ASGIApp:
        if asked.fault in _STATUSES:
            return _json(_STATUSES[asked.fault], self._patience(asked))
        match asked.fault:
            case Fault.HTML:
                return Response("<!doctype html><title>Maintenance</title>", media_type="text/html")
            case Fault.NOT_JSON:
                return Response("<!doctype html>", media_type="application/json")
            case Fault.REDIRECT:
                return RedirectResponse("/sign-in", status_code=302)
            case Fault.BOMB:
                return Response(bomb(), headers={"content-type": "application/json", "content-encoding": "gzip"})
            case Fault.DRIP:
                return StreamingResponse(_drip(1.0), media_type="application/json")
            case Fault.ENDLESS:
                return StreamingResponse(_drip(0.0, b"[" * 65536), media_type="application/json")
            case Fault.CUT:
                return StreamingResponse(_cut(), headers={"content-length": "1000"}, media_type="application/json")
        await asyncio.sleep(3600)
        return _json(500)

    def _patience(self, asked: _Asked) -> dict[str, str]:
        """Retry-After; a date comes with the sandbox's own Date, from which a client counts."""
        if asked.fault is Fault.LIMITED_SECONDS:
            return {"retry-after": f"{asked.seconds:g}"}
        if asked.fault is Fault.LIMITED_DATE:
            now = self.now().astimezone(UTC)
            until = now + timedelta(seconds=asked.seconds)
            return {"date": format_datetime(now, usegmt=True), "retry-after": format_datetime(until, usegmt=True)}
        return {}


def _json(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response('{"message":"no"}', status, headers, media_type="application/json")


async def _drip(seconds: float, piece: bytes = b" ") -> AsyncIterator[bytes]:
    while True:
        yield piece
        await asyncio.sleep(seconds)


async def _cut() -> AsyncIterator[bytes]:
    yield b"["
    raise ConnectionResetError


class Sandbox(ABC):
    """A fake provider. Everything about it is invented; its formats are the real provider's."""

    name: ClassVar[str]

    def __init__(self, now: Callable[[], datetime], seed: int = 0) -> None:
        """`now`: the sandbox's clock; `seed`: two sandboxes with the same one do the same."""
        self.now = now
        self.seed = seed
        self.faults = Faults(now)
        self.people: set[str] = set()
        self.unsent: list[bytes] = []
        self.unhanded: list[tuple[bytes, Asked]] = []

    def routes(self) -> Sequence[BaseRoute]:
        """The provider's own routes. None: it only sends, and answers nothing."""
        return []

    def settings(self, base_url: str) -> dict[str, Any]:
        """What an admin types in to connect to this provider: the connector's settings, secrets in plain; if it asks for any."""
        return {}

    @property
    def webhook_secret(self) -> str | None:
        """The secret by which its pushes prove themselves, in the form the connector's verifier takes; None: it has none."""
        return None

    def enrol(self, reference: str) -> None:
        """Know this person from now on."""
        self.people.add(reference)

    def known_as(self, person: str) -> str:
        """The reference under which somebody whom it knows is to be enrolled, where that is another word than it was told."""
        return person

    @abstractmethod
    def tell(self, happening: Happening) -> str | None:
        """Learn of something: the provider's own id of it. None: this provider does not tell of such things.

        What a provider pushes waits in `unsent` until `push`; one that pushes many in one body has a `push` of its own. What
        people hand in waits in `unhanded`, with what is told beside it, until `hand_over`.
        """

    def to_send(self) -> int:
        """How many notifications wait to be sent."""
        return len(self.unsent)

    def hand_over(self) -> list[tuple[bytes, Asked]]:
        """What a person has to hand in, each with what is told beside it; it waits no longer."""
        files, self.unhanded = self.unhanded, []
        return files

    def made_up(self, number: int) -> bytes:
        """A body that somebody invented, as this provider would write it; about nobody whom it knows."""
        return b"{}"

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """What goes with a pushed body; `forged`: as somebody would write it who does not know the secret."""
        return {"content-type": "application/json"}

    async def push(self, url: str, manner: Manner = Manner.HONEST, count: int = 0) -> list[int]:
        """Post what waits to a webhook's address: the answers' statuses. `count`: how many are made up when FORGED.

        What was answered with 2xx waits no longer. Raises `connectors.http.HttpError` when no answer comes; what was not
        taken still waits.
        """
        forged = manner is Manner.FORGED
        bodies = [self.made_up(number) for number in range(count)] if forged else manner.arranged(self.unsent)
        statuses = []
        async with client() as http:
            for body in bodies:
                answer = await http.post(url, content=body, headers=self.headers(body, forged=forged))
                statuses.append(answer.status_code)
                if answer.is_success and not forged and body in self.unsent:
                    self.unsent.remove(body)
        return statuses

    def misbehave(self, fault: Fault, *, times: int = 1, path: str = "", seconds: float = 1, after: int = 0) -> None:
        """Meet `times` requests whose path begins with `path` with a fault, the first of them behind `after` that are spared."""
        self.faults.waiting.append(_Asked(fault, times, path, seconds, after))

    def behave(self) -> None:
        """Forget every fault that still waits."""
        self.faults.waiting.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What it serves besides HTTP, as long as it is served at all."""
        yield

    @property
    def app(self) -> ASGIApp:
        """The whole provider as an ASGI application."""
        return self.faults.wrap(Starlette(routes=list(self.routes())))


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to its owner, and ends at once: uvicorn takes a fifth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not self.over.is_set():
            await self.on_tick(0)  # among others it sets the clock of the answers' dates
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for hanging in self.server_state.tasks:
            hanging.cancel()
        await asyncio.sleep(0)


def _listening(port: int) -> socket.socket:
    # With its protocol named, asyncio sends without delay: else each answer waits 40 ms for the other side's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


@asynccontextmanager
async def serving(sandbox: Sandbox, port: int = 0) -> AsyncIterator[str]:
    """Serve a sandbox on 127.0.0.1; yields its base address, which the outgoing client may reach meanwhile."""
    async with sandbox.running(), serving_app(sandbox.app, port) as base_url:
        with sandbox_allowed(base_url):
            yield base_url


@asynccontextmanager
async def serving_app(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Serve any application on 127.0.0.1, for sandboxes to push to; yields its base address. Its lifespan is left alone."""
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", date_header=False)
    server = _Server(config)
    listener = _listening(port)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.over.set()
        await running


def basic(pair: str) -> str:
    """The header `authorization` of HTTP Basic, of `user:password`."""
    return "Basic " + base64.b64encode(pair.encode()).decode()


def zulu(at: datetime, timespec: str = "seconds") -> str:
    """A moment in UTC as most providers write it, with a Z."""
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


async def body_of(request: Request) -> Any:
    """The JSON body of a request; None when there is none."""
    raw = await request.body()
    return await request.json() if raw else None
