"""A fake Cavalier on real HTTP: infected devices, and whose logins malware took from each. Everything in it is invented."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox, body_of, zulu
from connectors.vocabulary import AlertKind

KEY = "invented-key"
A_PAGE = 2
MOST_LOGINS = 50
TAKEN = frozenset({AlertKind.EXPOSURE_INFOSTEALER, AlertKind.EXPOSURE_CREDENTIALS})


class HudsonRockSandbox(Sandbox):
    """Finds devices by the logins on them. Two people who are told of one after the other share a device."""

    name = "hudsonrock"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.devices: list[dict[str, Any]] = []

    def routes(self) -> Sequence[BaseRoute]:
        """The one call."""
        return [Route("/search-by-login/emails", self._search, methods=["POST"])]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY, "requests_per_minute": 6000}

    def tell(self, happening: Happening) -> str | None:
        """Learn of a device that was infected a week before: its id, with whose login was on it."""
        if happening.kind not in TAKEN:
            return None
        email = happening.reference.strip().lower()
        last = self.devices[-1]["credentials"] if self.devices else []
        if len(last) != 1 or last[0]["username"] == email:
            self.devices.append(_device(self.seed * 1_000_000 + len(self.devices), happening))
        device = self.devices[-1]
        site = {"url": "https://shop.example/login", "domain": "shop.example"}
        device["credentials"].append({**site, "username": email, "password": "never-a-real-one", "type": "user"})
        return f"{device['stealer']} {email}"

    async def _search(self, request: Request) -> Response:
        if request.headers.get("api-key") != KEY:
            return JSONResponse({"error": "Unauthorized"}, 401)
        asked = await body_of(request)
        logins = {login.lower() for login in asked["logins"]}
        if not 1 <= len(asked["logins"]) <= MOST_LOGINS or not all("@" in login for login in logins):
            return JSONResponse({"error": "logins"}, 400)
        found = [
            {**device, "credentials": held}
            for device in sorted(self.devices, key=lambda one: str(one["date_uploaded"]))
            if (held := [one for one in device["credentials"] if one["username"] in logins])
        ]
        begin = int(base64.b64decode(asked["cursor"])) if asked.get("cursor") else 0
        end = begin + A_PAGE
        onward = base64.b64encode(str(end).encode()).decode() if end < len(found) else None
        return JSONResponse({"data": found[begin:end], "nextCursor": onward})


def _device(number: int, happening: Happening) -> dict[str, Any]:
    return {
        "stealer": f"{number:024x}",
        "date_compromised": zulu(happening.at - timedelta(days=7), "milliseconds"),
        "date_uploaded": zulu(happening.at, "milliseconds"),
        "stealer_family": "InventedStealer",
        "ip": "192.0.2.1",
        "computer_name": "INVENTED-PC",
        "operating_system": "Invented 11",
        "credentials": [],
    }


sandbox = HudsonRockSandbox
