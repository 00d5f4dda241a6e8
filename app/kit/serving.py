"""How the web server listens: what must have come before a request reaches the application, how soon, and how much of it.

uvicorn has no deadline for a head, no bound on its size and none on how long a sender may go on with a body that was
answered already. This protocol adds them to its own. A refusal here is a problem detail like every other.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.kit.answering import WHOLE, came_whole, head, in_one_piece
from app.kit.errors import RETRY_SECONDS, Problem, problem_response
from app.kit.limits import Limits

CROWDED_SECONDS = 1.0
LINGER_SECONDS = 5.0
"""How long the rest of a body is read and thrown away, so that its sender can read why it was refused."""

_BYTES_AROUND = 4
"""": " and the end of the line: what a header field takes besides its name and value."""

_UNREADABLE = Problem(400, "This is not HTTP.")
_LATE = Problem(408, "The head of the request did not come in time.")
_URL = Problem(414, "The address is too long.")
_HEAD = Problem(431, "There are too many header fields, or they are too long.")
_BUSY = Problem(503, "There is too much to do just now. Send it again.", headers={"Retry-After": RETRY_SECONDS})


class Refused(Exception):
    """Ends the reading of a head; the parser passes it on as its own error."""


@dataclass
class Load:
    """How many requests one server has in work, those that it only tells to come again left out."""

    in_work: int = 0


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol with deadlines and bounds; `guarded_by` makes the class that a server is given."""

    limits: ClassVar[Limits]
    load: ClassVar[Load]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: Problem | None = None
        self._heads = 0  # that came whole
        self._between = True  # the last message came whole: what comes next is a head
        self._begun = False  # a part of the next head is there
        self._loose = 0  # bytes of a head that is not whole yet
        self._left = 0  # bytes that its fields may still take
        self._over = False  # refused: whatever still comes is thrown away

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A sender connected: its head must come in time, sooner where many have connected."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender is gone."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; start the clock of a head that has begun and is not whole."""
        if self._over:
            return
        heads = self._heads
        super().data_received(data)
        if self._over or self.transport.is_closing() or not self._between:
            return
        if heads != self._heads:
            self._loose = 0
        else:
            self._loose += len(data)
            if self._loose > self.limits.largest_url + self.limits.largest_head:
                self._refuse(_HEAD)
                return
        if self._timer is None and (self._begun or heads == self._heads):
            self._await_head()

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        self._begun, self._left = True, self.limits.largest_head
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        if len(self.url) > self.limits.largest_url:
            self._stop_reading(_URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field. The first lines are uvicorn's own: to call it for each field costs as much as they do."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        self._left -= len(name) + len(value) + _BYTES_AROUND
        if self._left < 0 or len(self.headers) > self.limits.most_headers:
            self._stop_reading(_HEAD)

    def on_headers_complete(self) -> None:
        """The head is whole: the application answers, or, where it has too much to do, says so at once."""
        self._stop()
        self._heads += 1
        self._between = self._begun = False
        self._loose = 0
        if self._crowded():
            self.app = _leave
        try:
            super().on_headers_complete()
        finally:
            self.app = self.config.loaded_app

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if app is self.config.loaded_app:
            app = self._working(cycle)
        super()._start_asgi_task(cycle, app)

    def _working(self, cycle: Any) -> ASGIApp:
        """The application, for one request that is counted as long as it is in work.

        It is in work from its first step on, not from when it came: one that is refused without waiting for anything takes
        nobody's place, though a thousand of them come at once.
        """

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if self.load.in_work >= self.limits.most_requests:
                await _busy(scope, receive, in_one_piece(cycle, send))
                return
            self.load.in_work += 1
            scope[WHOLE] = came_whole(cycle)
            try:
                await self.config.loaded_app(scope, receive, in_one_piece(cycle, send))
            finally:
                self.load.in_work -= 1

        return counted

    def on_message_complete(self) -> None:
        """The body is whole. If it was answered before, nobody else watches over what comes next."""
        self._between = True
        super().on_message_complete()
        if self.cycle.response_complete:
            self._stop()
            self._await_head()

    def on_response_complete(self) -> None:
        """Answered. A body that has not come whole is read a little longer, then the connection is closed."""
        super().on_response_complete()
        if not self._between and self.cycle.response_complete and not self.transport.is_closing():
            self._stop()
            self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """What the parser could not read, or was told to read no more of."""
        self._refuse(self._refusal or _UNREADABLE)

    def _crowded(self) -> bool:
        return len(self.connections) > self.limits.most_connections

    def _await_head(self) -> None:
        seconds = min(CROWDED_SECONDS, self.limits.head_seconds) if self._crowded() else self.limits.head_seconds
        self._timer = self.loop.call_later(seconds, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # the request before it is still being answered: close after that
        elif self._begun:
            self._refuse(_LATE)
        else:
            self.transport.close()  # nothing was asked, so nothing is answered

    def _stop_reading(self, problem: Problem) -> None:
        self._refusal = problem
        raise Refused

    def _refuse(self, problem: Problem) -> None:
        """Answer with this and listen no longer. A request before it that is still being answered is answered first."""
        self._stop()
        self._over = True
        if self.cycle is not None and not self.cycle.response_complete:
            if self._between:
                self.cycle.keep_alive = False
                return
            self.cycle.disconnected = True  # it is its body that was refused: it has nothing to wait for or to say any more
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.close()
                return
        answer = problem_response(problem)
        fields = [(b"connection", b"close"), *answer.raw_headers]
        lines = [STATUS_LINE[answer.status_code], *(b"%s: %s\r\n" % field for field in fields), b"\r\n"]
        self.transport.write(b"".join(lines) + bytes(answer.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # To close with bytes unread would make the kernel take the answer back.
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)


_answer = problem_response(_BUSY)
_BUSY_HEADERS = list(_answer.raw_headers)
_BUSY_HEAD: Message = head(_BUSY.status, _BUSY_HEADERS)
_BUSY_BODY: Message = {"type": "http.response.body", "body": bytes(_answer.body)}
"""Made once: where there is too much to do, saying so must cost next to nothing."""


async def _busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Its connection stays: to make a new one would cost both sides more than the answer."""
    await send(_BUSY_HEAD)
    await send(_BUSY_BODY)


async def _leave(scope: Scope, receive: Receive, send: Send) -> None:
    """There are too many connections."""
    await send({"type": "http.response.start", "status": _BUSY.status, "headers": [*_BUSY_HEADERS, (b"connection", b"close")]})
    await send(_BUSY_BODY)


def server_options(limits: Limits) -> dict[str, Any]:
    """What every server of this house is started with: no log of addresses, no name of its own, no web sockets."""
    return {
        "http": type("GuardedBySettings", (Guarded,), {"limits": limits, "load": Load()}),
        "ws": "none",
        "access_log": False,
        "log_config": None,
        "server_header": False,
    }
