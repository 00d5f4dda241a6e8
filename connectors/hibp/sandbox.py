"""A fake Have I Been Pwned on real HTTP: breaches, listed addresses, keys and the hash range. Everything in it is invented."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "0123456789abcdef0123456789abcdef"
PREFIX_LETTERS = 6
CLASSES = {
    AlertKind.EXPOSURE_SSN: ["Email addresses", "Names", "Dates of birth", "Social security numbers"],
    AlertKind.EXPOSURE_GOVERNMENT_ID: ["Email addresses", "Names", "Driver's licenses", "Government issued IDs"],
    AlertKind.EXPOSURE_FINANCIAL: ["Email addresses", "Names", "Bank account numbers", "Credit cards"],
    AlertKind.EXPOSURE_CREDENTIALS: ["Email addresses", "Passwords", "Usernames"],
    AlertKind.EXPOSURE_INFOSTEALER: ["Email addresses", "Passwords"],
    AlertKind.EXPOSURE_CONTACT: ["Email addresses", "Phone numbers", "Physical addresses"],
    AlertKind.EXPOSURE_BREACH_LISTING: ["Email addresses", "Names", "Passwords"],
}


class HibpSandbox(Sandbox):
    """Knows breaches by name, and who is listed in which. An address that nobody enrolled is clean, like any other."""

    name = "hibp"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`. There is one old breach from the beginning: the real service is never empty."""
        super().__init__(now, seed)
        self.requests_per_minute = 6000
        self.tells_its_pace = True
        self.breaches: dict[str, dict[str, Any]] = {}
        self.listed: dict[str, list[str]] = {}
        self.add_breach("InventedOldForum", CLASSES[AlertKind.EXPOSURE_CREDENTIALS], added=datetime(2015, 3, 1, 9, tzinfo=UTC))

    def routes(self) -> Sequence[BaseRoute]:
        """The calls that the connector makes, and `/dataclasses` for whoever plays with it."""
        return [
            Route("/subscription/status", self._status),
            Route("/latestbreach", self._latest),
            Route("/dataclasses", self._classes),
            Route("/breach/{name}", self._breach),
            Route("/breachedaccount/range/{prefix}", self._range),
            Route("/breachedaccount/{account:path}", self._account),
        ]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY}

    def enrol(self, reference: str) -> None:
        """Know an address; it is listed nowhere yet."""
        self.listed.setdefault(_address(reference), [])

    def tell(self, happening: Happening) -> str | None:
        """List somebody in a breach, added to the service at that time if it is new; the breach's name.

        Of the happening the institution is the breach's title and `opened` the day of the breach. What is no exposure is
        not told here.
        """
        if happening.kind not in CLASSES:
            return None
        title = happening.institution or "Invented Collection"
        name = "".join(letter for letter in title if letter.isascii() and letter.isalnum())
        if name not in self.breaches:
            day = happening.opened or (happening.at - timedelta(days=200)).date()
            self.add_breach(name, CLASSES[happening.kind], added=happening.at, title=title, day=day.isoformat())
        names = self.listed.setdefault(_address(happening.reference), [])
        if name not in names:
            names.append(name)
        return name

    def add_breach(
        self, name: str, classes: Sequence[str], *, added: datetime, title: str | None = None, day: str | None = None
    ) -> None:
        """Add a breach, or say something else of one. `added` is aware, `day` YYYY-MM-DD."""
        stamp = added.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.breaches[name] = {
            "Name": name,
            "Title": title or name,
            "Domain": "",
            "BreachDate": day or (added - timedelta(days=200)).date().isoformat(),
            "AddedDate": stamp,
            "ModifiedDate": stamp,
            "PwnCount": 4200 + len(self.breaches),
            "Description": f'An <a href="https://{name.lower()}.example">invented</a> breach. <script>alert(1)</script>',
            "LogoPath": "https://logos.example/Invented.png",
            "Attribution": None,
            "DisclosureUrl": None,
            "DataClasses": list(classes),
            **dict.fromkeys(("IsFabricated", "IsSensitive", "IsRetired", "IsSpamList", "IsMalware", "IsStealerLog"), False),
            "IsVerified": True,
            "IsSubscriptionFree": False,
        }

    async def _status(self, request: Request) -> Response:
        if not self.tells_its_pace:
            return Response(status_code=403)
        plan = {
            "SubscriptionName": "Invented 2",
            "Description": "For trying things out",
            "SubscribedUntil": "2099-01-01T00:00:00Z",
            "Rpm": self.requests_per_minute,
            "DomainSearchMaxBreachedAccounts": 0,
            "IncludesStealerLogs": False,
        }
        return _refusal(request) or JSONResponse(plan)

    async def _latest(self, request: Request) -> Response:
        latest = max(self.breaches.values(), key=lambda breach: (breach["AddedDate"], breach["Name"]))
        return _refusal(request, key=False) or JSONResponse(latest)

    async def _classes(self, request: Request) -> Response:
        known = sorted({name for breach in self.breaches.values() for name in breach["DataClasses"]})
        return _refusal(request, key=False) or JSONResponse(known)

    async def _breach(self, request: Request) -> Response:
        found = self.breaches.get(request.path_params["name"])
        return _refusal(request, key=False) or (JSONResponse(found) if found else Response(status_code=404))

    async def _account(self, request: Request) -> Response:
        account = _address(request.path_params["account"])
        if not account:
            return _refusal(request) or Response(status_code=400)
        names = self.listed.get(account, [])
        whole = request.query_params.get("truncateResponse") == "false"
        found = [self.breaches[name] if whole else {"Name": name} for name in names]
        return _refusal(request) or (JSONResponse(found) if found else Response(status_code=404))

    async def _range(self, request: Request) -> Response:
        prefix = request.path_params["prefix"].upper()
        digests = {_digest(account): names for account, names in self.listed.items() if names}
        digests[prefix + "0" * 34] = ["InventedOldForum"]  # a stranger with the same first letters
        found = [
            {"hashSuffix": digest[PREFIX_LETTERS:], "websites": names}
            for digest, names in sorted(digests.items())
            if digest.startswith(prefix)
        ]
        return _refusal(request) or JSONResponse(found)


def _address(text: str) -> str:
    return text.strip().lower()


def _digest(account: str) -> str:
    return hashlib.sha1(account.encode(), usedforsecurity=False).hexdigest().upper()


def _refusal(request: Request, *, key: bool = True) -> Response | None:
    """403 without a user agent, 401 without the key where one is needed."""
    if not request.headers.get("user-agent"):
        return Response(status_code=403)
    if key and request.headers.get("hibp-api-key") != KEY:
        return PlainTextResponse("Access denied due to invalid API key.", status_code=401)
    return None


sandbox = HibpSandbox
