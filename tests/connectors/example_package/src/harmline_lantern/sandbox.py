"""A fake Lantern Watch on real HTTP. Everything in it is invented."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "sandbox-key"
SECRET = "an-invented-secret-of-some-length"
PAGE = 10
EVENTS = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: "account_opened",
    AlertKind.INQUIRY_HARD: "report_pulled",
    AlertKind.FILE_CHANGE_ADDRESS: "address_changed",
}


class LanternSandbox(Sandbox):
    """Numbers its alerts, lists them by number, and pushes each one once."""

    name = "lantern"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.people: set[str] = set()
        self.alerts: list[dict[str, Any]] = []

    def routes(self) -> Sequence[BaseRoute]:
        """The one list."""
        return [Route("/alerts", self._list)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY}

    @property
    def webhook_secret(self) -> str:
        """The key of its signatures."""
        return SECRET

    def enrol(self, reference: str) -> None:
        """Watch somebody."""
        self.people.add(reference)

    def tell(self, happening: Happening) -> str | None:
        """Number an alert, if it is about somebody watched and of a sort that is told."""
        event = EVENTS.get(happening.kind)
        if event is None or happening.reference not in self.people:
            return None
        alert = {
            "number": str(len(self.alerts) + 1),
            "event": event,
            "person": happening.reference,
            "company": happening.institution,
            "seen": happening.at.isoformat(),
        }
        self.alerts.append(alert)
        self.unsent.append(json.dumps(alert).encode())
        return str(alert["number"])

    def made_up(self, number: int) -> bytes:
        """An alert about somebody who does not exist."""
        return json.dumps({"number": f"made-up-{number}", "event": "report_pulled", "person": f"nobody-{number}"}).encode()

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """Signed as of now, if forged with a guess."""
        stamp = str(int(self.now().timestamp()))
        mac = hmac.digest(b"a-guess" if forged else SECRET.encode(), stamp.encode() + b"." + body, "sha256")
        return {"content-type": "application/json", "x-lantern-time": stamp, "x-lantern-signature": mac.hex()}

    async def _list(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != KEY:
            return JSONResponse({"message": "no"}, status_code=401)
        after = int(request.query_params.get("after", "0"))
        page = self.alerts[after : after + PAGE]
        last = after + len(page)
        return JSONResponse({"alerts": page, "last": str(last), "more": last < len(self.alerts)})


sandbox = LanternSandbox
