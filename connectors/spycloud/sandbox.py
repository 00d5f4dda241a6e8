"""A fake SpyCloud on real HTTP: a watchlist whose pages are found by words that die after two minutes. Everything is invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "invented-key-of-the-sandbox"
A_PAGE = 3
GOOD_FOR = timedelta(minutes=2)
FINDS: Mapping[AlertKind, Mapping[str, Any]] = {
    AlertKind.EXPOSURE_INFOSTEALER: {"severity": 25, "password": "invented", "target_domain": "bank.example"},
    AlertKind.EXPOSURE_CREDENTIALS: {"severity": 20, "password": "invented", "password_plaintext": "invented"},
    AlertKind.EXPOSURE_CONTACT: {"severity": 2, "full_name": "Invented Person"},
    AlertKind.EXPOSURE_SSN: {"severity": 5, "ssn": "900-00-0000"},
    AlertKind.EXPOSURE_GOVERNMENT_ID: {"severity": 5, "drivers_license": "Y0000000"},
    AlertKind.EXPOSURE_FINANCIAL: {"severity": 2, "cc_number": "4111111111111111"},
}


class SpyCloudSandbox(Sandbox):
    """Knows the records of the addresses that it watches."""

    name = "spycloud"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`. So many words of pages (`dead_words`) are dead when they come back, as if two minutes had gone by."""
        super().__init__(now, seed)
        self.records: list[dict[str, Any]] = []
        self.dead_words = 1

    def routes(self) -> Sequence[BaseRoute]:
        """The one call that the connector makes."""
        return [Route("/breach/data/watchlist", self._watchlist)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY}

    def tell(self, happening: Happening) -> str | None:
        """Find something of a watched address: the record's id. What is no exposure is not told here."""
        if happening.kind not in FINDS or happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + len(self.records) + 1
        day = happening.at.astimezone(UTC).strftime("%Y-%m-%dT00:00:00Z")
        self.records.append(
            {
                "document_id": f"00000000-0000-4000-8000-{number:012x}",
                "source_id": 40_000 + number,
                "email": happening.reference,
                "breach_title": happening.institution or "Invented Leak",
                "spycloud_publish_date": day,
                "record_modification_date": day,
                **FINDS[happening.kind],
            }
        )
        return str(self.records[-1]["document_id"])

    async def _watchlist(self, request: Request) -> Response:
        """Newest first. The word of a page says when it was given and where it goes on; one that is too old is refused."""
        asked = request.query_params
        if request.headers.get("x-api-key") != KEY:
            return self._answer({"message": "Forbidden"}, 403, {"spycloud-error": "Invalid API key"})
        given, _, begin = (asked.get("cursor") or f"{self.now().isoformat()}/0").rpartition("/")
        self.dead_words -= (dies := bool(asked.get("cursor")) and self.dead_words > 0)
        if dies or datetime.fromisoformat(given) + GOOD_FOR < self.now():
            return self._answer({"error": "BAD_REQUEST", "message": "Invalid request", "trace_id": "req_invented"}, 400)
        fitting = [one for one in self.records if one["spycloud_publish_date"] >= asked.get("since", "")]
        fitting = [one for one in fitting if one["record_modification_date"] >= asked.get("since_modification_date", "")]
        at = int(begin)
        more = at + A_PAGE < len(fitting)
        onward = f"{self.now().isoformat()}/{at + A_PAGE}" if more else ""
        return self._answer({"cursor": onward, "hits": len(fitting), "results": fitting[::-1][at : at + A_PAGE]}, 200)

    def _answer(self, told: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> Response:
        stamp = format_datetime(self.now().astimezone(UTC), usegmt=True)
        return JSONResponse(dict(told), status_code=status, headers={"date": stamp, **(headers or {})})


sandbox = SpyCloudSandbox
