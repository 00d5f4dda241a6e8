"""The edge of the application: how large and how slow a request may be; no failure of ours leaves with its details."""

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.kit.limits import Limits
from app.kit.slow import in_time

log = structlog.get_logger(__name__)

LARGEST_BODY = 1024 * 1024
LARGEST_UPLOAD = 21 * 1024 * 1024
_OWN_LIMIT = "/webhooks/"


class Interrupted(Exception):
    """An answer broke off after its first byte. Says nothing of why: the server writes this one into its log."""


class Edge:
    """Bounds every request body, and turns any exception into the application's own 500.

    It stands inside the middleware that sets headers, so that a 500 carries them too, and it lets no exception through to
    the server, which would log its text: that can hold what somebody sent. Webhook bodies are bounded by their connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        """`app`: the application without its outermost error handler."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, bounded(scope, in_time(receive, _limits(scope))), watched)
        except Exception as error:  # whatever it is: its text must not reach the server's log
            failure = error
        if failure is None:
            return
        if started:
            log.error("answer broke off", error=type(failure).__name__)
            raise Interrupted
        handler = scope["app"].exception_handlers[Exception]
        response = await handler(Request(scope), failure)
        await response(scope, receive, send)


def _limits(scope: Scope) -> Limits:
    """The process's own; the defaults in an application that has not been given its world yet."""
    context = getattr(scope["app"].state, "context", None)
    return Limits() if context is None else context.settings


def bounded(scope: Scope, receive: Receive) -> Receive:
    """`receive`, except that reading more than a request may bring raises a 413 HTTPException."""
    if scope["path"].startswith(_OWN_LIMIT):
        return receive
    headers = dict(scope["headers"])
    upload = headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
    left = LARGEST_UPLOAD if upload else LARGEST_BODY
    declared = headers.get(b"content-length", b"0")
    too_large = declared.isdigit() and int(declared[:20]) > left

    async def limited() -> Message:
        nonlocal left
        if too_large:
            raise HTTPException(413)
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return limited
