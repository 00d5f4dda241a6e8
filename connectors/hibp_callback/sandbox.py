"""A fake of the service's enterprise API on real HTTP: ranges to be asked for, and callbacks. Everything in it is invented."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "invented-key-of-the-sandbox"
TOKEN = "invented-token-of-the-sandbox"  # noqa: S105 - not a secret: the fake provider's own
PREFIX_LETTERS = 6
KINDS = frozenset({AlertKind.EXPOSURE_BREACH_LISTING, AlertKind.EXPOSURE_CREDENTIALS, AlertKind.EXPOSURE_CONTACT})


class HibpCallbackSandbox(Sandbox):
    """Knows people by their address, and tells of them by its hash, never without a stranger beside them."""

    name = "hibp_callback"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.listed: dict[str, list[str]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """The one call that the connector makes."""
        return [Route("/range/search/{prefix}", self._range)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY}

    @property
    def webhook_secret(self) -> str:
        """The token that callbacks show."""
        return TOKEN

    def known_as(self, person: str) -> str:
        """The SHA-1 of their address."""
        return _digest(person).lower()

    def tell(self, happening: Happening) -> str | None:
        """Add a breach that lists somebody: its name. What is no exposure is not told here."""
        if happening.kind not in KINDS or happening.reference not in self.people:
            return None
        digest = _digest(happening.reference)
        title = happening.institution or "Invented Collection"
        name = "".join(letter for letter in f"{title} {self.seed or ''}" if letter.isascii() and letter.isalnum())
        names = self.listed.setdefault(digest, [])
        if name not in names:
            names.append(name)
        self.unsent.append(_callback(name, digest[:PREFIX_LETTERS], [_stranger(name), digest[PREFIX_LETTERS:]]))
        return name

    def made_up(self, number: int) -> bytes:
        """A callback about strangers alone."""
        return _callback("InventedByNobody", f"{number:06X}", [_stranger(f"{number}"), _stranger(f"another {number}")])

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """With the token; if forged with another one."""
        return {"content-type": "application/json", "authorization": f"Bearer {'guessed' if forged else TOKEN}"}

    async def _range(self, request: Request) -> Response:
        if request.headers.get("hibp-enterprise-api-key") != KEY:
            return JSONResponse({"message": "Access denied"}, status_code=401)
        prefix = request.path_params["prefix"]
        found = [
            {"hashSuffix": digest[PREFIX_LETTERS:], "websites": names}
            for digest, names in sorted(self.listed.items())
            if digest.startswith(prefix)
        ]
        return JSONResponse([{"hashSuffix": _stranger(prefix), "websites": ["InventedOldForum"]}, *found])


def _callback(name: str, prefix: str, suffixes: Sequence[str]) -> bytes:
    return json.dumps({"breachName": name, "hashPrefix": prefix, "hashSuffixes": suffixes}).encode()


def _digest(address: str) -> str:
    return hashlib.sha1(address.strip().lower().encode(), usedforsecurity=False).hexdigest().upper()


def _stranger(word: str) -> str:
    return _digest(f"stranger of {word}")[PREFIX_LETTERS:]


sandbox = HibpCallbackSandbox
