"""Who was turned away is counted, and written into the log: by whom, where and why, and nothing of what was sent.

A person or a program is named by the account's id, which means something to whoever can read the database; nobody by nothing.
No address of a machine is written down. Source: ASVS 16.3.1, 16.3.2.
"""

import time
from enum import StrEnum

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.roles import Principal
from app.kit import metrics
from app.kit.buckets import Buckets

log = structlog.get_logger(__name__)


class Why(StrEnum):
    """Why somebody was turned away. NOT_PROVEN: they tried to show who they are, and did not."""

    NOT_PROVEN = "not_proven"
    NOT_SIGNED_IN = "not_signed_in"
    NOT_ALLOWED = "not_allowed"
    ASKED_ANEW = "asked_anew"
    TOO_OFTEN = "too_often"


WHY = {401: Why.NOT_SIGNED_IN, 403: Why.NOT_ALLOWED, 429: Why.TOO_OFTEN}
"""By the status of the answer."""

PROOFS = {
    ("/sign-in/passkey", 401),
    ("/sign-in/password", 401),
    ("/sign-in/{token}", 410),
    ("/sign-in/provider/callback", 403),
    ("/sign-in/provider/callback", 410),
    ("/confirm/passkey", 401),
    ("/confirm/password", 401),
    ("/recovery", 422),
}
"""Where people show who they are, and how they are answered when they do not."""

LINES_A_SECOND, LINES_AT_ONCE = 5.0, 200
"""How much of what nobody signed in is refused is written down; all of it is counted. A flood must not fill the disk."""


class Noted:
    """ASGI: looks at each answer's status on its way out."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: what answers."""
        self._app = app
        self._strangers = Buckets(LINES_A_SECOND, LINES_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, message["status"])
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, scope: Scope, status: int) -> None:
        why = _why(scope, status)
        if why is None:
            return
        caller: Principal | None = scope.get("state", {}).get("principal")
        role = caller.role.value if caller is not None else "nobody"
        metrics.TURNED_AWAY.labels(why.value, role).inc()
        said = {"why": why.value, "role": role, "method": scope["method"], "route": _route(scope)}
        if caller is not None:
            log.info("turned away", **said, account=str(caller.account_id), program=caller.scopes is not None)
        elif why is not Why.NOT_SIGNED_IN and not self._strangers.take(None, time.monotonic()):
            log.info("turned away", **said)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", ""))


def _why(scope: Scope, status: int) -> Why | None:
    if (_route(scope), status) in PROOFS:
        return Why.NOT_PROVEN
    if status == 401 and any(name == b"authorization" for name, _ in scope["headers"]):
        return Why.NOT_PROVEN
    if status == 403 and scope.get("state", {}).get("asked_anew"):
        return Why.ASKED_ANEW
    return WHY.get(status)
