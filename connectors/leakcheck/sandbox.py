"""A fake LeakCheck on real HTTP: leaks by name, and who stands in which. Everything in it is invented."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "0123456789abcdef0123456789abcdef01234567"
MOST_ROWS, LAST_OFFSET = 1000, 2500
FIELDS: Mapping[AlertKind, Mapping[str, str]] = {
    AlertKind.EXPOSURE_CREDENTIALS: {"username": "invented", "password": "never-a-real-one"},
    AlertKind.EXPOSURE_CONTACT: {"name": "Invented Person", "address": "1 Invented Street", "phone": "5550100199"},
    AlertKind.EXPOSURE_BREACH_LISTING: {"first_name": "Invented", "last_name": "Person", "dob": "1980-01-02"},
}


class LeakCheckSandbox(Sandbox):
    """Finds an address by itself or by its hash. Whoever is in a leak is also, many times over, in a list made of others."""

    name = "leakcheck"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`. The quota is large; it goes down by one with each question."""
        super().__init__(now, seed)
        self.quota = 1_000_000
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """The one call."""
        return [Route("/query/{value:path}", self._query)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY}

    def tell(self, happening: Happening) -> str | None:
        """List somebody in a leak: its name. Of the happening the institution is whose it was, and `opened` when."""
        if happening.kind not in FIELDS:
            return None
        email = happening.reference.strip().lower()
        name = happening.institution or "Invented Collection"
        day = (happening.opened or happening.at.date()).isoformat()[:7]
        rows = self.rows.setdefault(email, [_row(email, "Invented Compilation", "", {}, compilation=1)] * MOST_ROWS)
        rows.append(_row(email, name, day, FIELDS[happening.kind]))
        return name

    async def _query(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != KEY:
            return _refused(400, "Invalid X-API-Key")
        if self.quota < 1:
            return _refused(403, "Limit reached")
        limit, offset = (int(request.query_params[name]) for name in ("limit", "offset"))
        value, sort = request.path_params["value"].strip().lower(), request.query_params["type"]
        if limit > MOST_ROWS or offset > LAST_OFFSET or sort not in {"email", "hash"} or (sort == "email") != ("@" in value):
            return _refused(400, "Invalid query")
        self.quota -= 1
        known = [
            rows for email, rows in self.rows.items() if value == email or (sort == "hash" and _digest(email).startswith(value))
        ]
        rows = [row for found in known for row in found][offset : offset + limit]
        return JSONResponse({"success": True, "found": len(rows), "quota": self.quota, "result": rows})


def _row(email: str, name: str, day: str, data: Mapping[str, str], *, compilation: int = 0) -> dict[str, Any]:
    flags = {"unverified": 0, "passwordless": int("password" not in data), "compilation": compilation}
    return {"email": email, "source": {"name": name, "breach_date": day, **flags}, **data, "fields": list(data)}


def _digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def _refused(status: int, error: str) -> Response:
    return JSONResponse({"success": False, "error": error}, status)


sandbox = LeakCheckSandbox
