"""The headers that every answer carries, and the rule that nobody keeps a copy of a page."""

from typing import Any

from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    CustomHeader,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""No script at all, nothing inline, nothing from elsewhere. Source: security.md K2."""

SCRIPTED = {
    "/docs": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
}
"""Pages that need scripts, all from our own files: the description of the API. `data:` are the pictures in its style sheet."""

_CSP = b"content-security-policy"
_SWITCHED_OFF = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture", "browsing-topics")
_TWO_YEARS = 63_072_000

SECURITY_HEADERS: dict[str, Any] = {
    "csp": ContentSecurityPolicy().set(CONTENT_SECURITY_POLICY),
    "referrer": ReferrerPolicy().no_referrer(),
    "xcto": XContentTypeOptions().nosniff(),
    "xfo": XFrameOptions().deny(),
    "coop": CrossOriginOpenerPolicy().same_origin(),
    "corp": CrossOriginResourcePolicy().same_origin(),
    "hsts": StrictTransportSecurity().max_age(_TWO_YEARS).include_subdomains(),
    "permissions": PermissionsPolicy().set(", ".join(f"{name}=()" for name in _SWITCHED_OFF)),
    "custom": [CustomHeader("X-Robots-Tag", "noindex, nofollow")],
}
"""What `secure.Secure` is made with. Cache-Control is not among them: `NoStore` leaves alone what says its own."""

NO_STORE = "no-store"


def always(secure: Secure) -> list[tuple[bytes, bytes]]:
    """The headers of every answer that nobody may keep, as ASGI writes them."""
    return [(name.lower().encode(), value.encode()) for name, value in {**secure.headers, "Cache-Control": NO_STORE}.items()]


class NoStore:
    """ASGI middleware: an answer that does not say how it may be cached may not be kept by anybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (an ASGI call)."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", NO_STORE)
            await send(message)

        await self._app(scope, receive, guarded)


class OwnPolicies:
    """ASGI middleware, outside of the one that sets headers: the pages in `SCRIPTED` have a content policy of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (an ASGI call)."""
        policy = SCRIPTED.get(scope.get("path", ""), CONTENT_SECURITY_POLICY).encode()

        async def scripted(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0].lower() != _CSP]
                message = {**message, "headers": [*others, (_CSP, policy)]}
            await send(message)

        await self._app(scope, receive, scripted if scope.get("path") in SCRIPTED else send)
