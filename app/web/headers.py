"""The headers that every answer carries: nothing runs that is not ours, and nobody keeps a copy of a page."""

from typing import Any

from secure import (
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

WITH_SCRIPT = CONTENT_SECURITY_POLICY + "; script-src 'self'; connect-src 'self'"
"""The same for the few pages that speak with a passkey: our own script files, which speak with us alone."""

WITH_SWAGGER = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The description of the API: scripts from our own files; `data:` are the pictures in its style sheet."""

_SWITCHED_OFF = ("camera", "microphone", "geolocation", "payment", "usb", "display-capture", "browsing-topics")
_TWO_YEARS = 63_072_000

SECURITY_HEADERS: dict[str, Any] = {
    "referrer": ReferrerPolicy().no_referrer(),
    "xcto": XContentTypeOptions().nosniff(),
    "xfo": XFrameOptions().deny(),
    "coop": CrossOriginOpenerPolicy().same_origin(),
    "corp": CrossOriginResourcePolicy().same_origin(),
    "hsts": StrictTransportSecurity().max_age(_TWO_YEARS).include_subdomains(),
    "permissions": PermissionsPolicy().set(", ".join(f"{name}=()" for name in _SWITCHED_OFF)),
    "custom": [CustomHeader("X-Robots-Tag", "noindex, nofollow")],
}
"""What `secure.Secure` is made with. What an answer may say in its own way is in `UNLESS_SAID`."""

UNLESS_SAID = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
"""The headers of every answer that does not say its own: no script, and nobody keeps a copy."""


def always(secure: Secure) -> list[tuple[bytes, bytes]]:
    """The headers of every answer that nobody may keep, as ASGI writes them."""
    return [(name.lower().encode(), value.encode()) for name, value in {**secure.headers, **UNLESS_SAID}.items()]


class UnlessSaid:
    """ASGI middleware: an answer that does not say its own gets `UNLESS_SAID`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (an ASGI call)."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in UNLESS_SAID.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)
