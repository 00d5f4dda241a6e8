"""A fake CRS Credit API on real HTTP: sign-in with tokens that end, details in two time units, the nightly batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.http import client
from connectors.sandboxing import Happening, Manner, Sandbox, basic, body_of
from connectors.vocabulary import AlertKind, Bureau

KEY, SECRET = "sandbox-key", "sandbox-secret"
BASIC = "harmline:invented-15ch"
A_TOKENS_LIFE = timedelta(hours=1)
TYPES: Mapping[AlertKind, str] = {
    AlertKind.INQUIRY_HARD: "HARDINQUIRY",
    AlertKind.INQUIRY_BLOCKED: "BLOCKEDINQUIRY",
    AlertKind.FREEZE_BAD_PIN: "CRCACCESSWITHINVALIDPIN",
    AlertKind.FILE_CHANGE_ADDRESS: "ADDRESS",
    AlertKind.FILE_CHANGE_NAME: "NAME",
    AlertKind.COURT_PUBLIC_RECORD: "LEGALITEM",
    AlertKind.CONSEQUENCE_COLLECTION: "COLLECTION",
    AlertKind.CONSEQUENCE_DELINQUENCY: "ACCOUNTSTATUSCHANGE",
    AlertKind.TAKEOVER_CARD: "CREDITLIMIT",
    AlertKind.NEW_ACCOUNT_TELECOM_MOBILE: "TELCOUTILITY",
    AlertKind.NEW_ACCOUNT_TELECOM_LANDLINE: "TELCOUTILITY",
    AlertKind.NEW_ACCOUNT_UTILITY: "TELCOUTILITY",
    AlertKind.OTHER_UNCLASSIFIED: "UNKNOWN",
}
SOURCES = {Bureau.EQUIFAX: "EFX", Bureau.EXPERIAN: "EXP", Bureau.TRANSUNION: "TU"}


class CrsSandbox(Sandbox):
    """Tells of an alert only in the next batch, and tells its details only to who signed in."""

    name = "crs"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.details: dict[str, dict[str, Any]] = {}
        self.waiting: list[dict[str, Any]] = []
        self.tokens: dict[str, datetime] = {}
        self._numbers = 0

    def routes(self) -> Sequence[BaseRoute]:
        """The sign-in and the details of one alert."""
        return [
            Route("/direct/login", self._login, methods=["POST"]),
            Route("/direct/efx-alert/{alert_id}", self._detail),
        ]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY, "secret": SECRET, "requests_per_minute": 60_000}

    @property
    def webhook_secret(self) -> str:
        """`user:password` of HTTP Basic."""
        return BASIC

    def tell(self, happening: Happening) -> str | None:
        """Learn of something: the alert's id. Nothing about strangers, and of new accounts only that there is one."""
        new_account = happening.kind.family == "new_account"
        word = TYPES.get(happening.kind, "TRADELINE" if new_account else None)
        if word is None or happening.reference not in self.people:
            return None
        self._numbers += 1
        alert_id = str(40_000_000_000 + self.seed * 1_000_000 + self._numbers)
        # Both units, one after the other: which one comes is not documented.
        unit = 1000 if self._numbers % 2 else 1
        opened = happening.opened or happening.at.date()
        self.details[alert_id] = {
            "id": str(UUID(int=self._numbers)),
            "alertId": alert_id,
            "alertType": word,
            "creationDate": int(happening.at.timestamp()) * unit,
            "dataSource": SOURCES.get(happening.bureau or Bureau.EQUIFAX, "EFX"),
            "dateReported": int((happening.at - timedelta(days=1)).timestamp()) * unit,
            "institutionName": happening.institution,
            "endUserText": f"Invented: {word.lower()} of {opened.isoformat()}",
            "postedDuringMaintenancePeriod": False,
        }
        self.waiting.append(self._item(alert_id, happening.reference, happening.at))
        return alert_id

    def to_send(self) -> int:
        """How many notices stand in the next batch."""
        return len(self.waiting)

    def expire_tokens(self) -> None:
        """Let every token end now."""
        self.tokens.clear()

    async def push(self, url: str, manner: Manner = Manner.HONEST, count: int = 0) -> list[int]:
        """Post the batch of the night, one array, by HTTP Basic; what was not taken waits for the next night."""
        told = list(self.waiting)
        batches = {
            Manner.HONEST: [told],
            Manner.TWICE: [told, [item for item in told for _ in range(2)]],
            Manner.BACKWARDS: [told[::-1]],
            Manner.FORGED: [[self._item(f"made-up-{n}", f"nobody-{n}", self.now())] for n in range(count)],
        }
        secret = "harmline:guessed" if manner is Manner.FORGED else BASIC
        headers = {"authorization": basic(secret), "content-type": "application/json"}
        async with client() as http:
            answers = [await http.post(url, content=json.dumps(batch), headers=headers) for batch in batches[manner] if batch]
        if manner is not Manner.FORGED and all(answer.is_success for answer in answers):
            self.waiting = [item for item in self.waiting if item not in told]
        return [answer.status_code for answer in answers]

    def _item(self, alert_id: str, user_id: str, at: datetime) -> dict[str, Any]:
        return {
            "id": f"6f1d2f3e-0000-4000-8000-{self.seed * 1_000_000 + self._numbers:012d}",
            "type": "ALERT",
            "user_id": user_id,
            "host_id": "6f1d2f3e-0000-4000-9000-000000000001",
            "time": int(at.timestamp()),
            "error_code": None,
            "error_msg": None,
            "alert_id": alert_id,
            "alert_date": at.date().isoformat(),
        }

    async def _login(self, request: Request) -> Response:
        if await body_of(request) != {"apikey": KEY, "secret": SECRET}:
            return JSONResponse({"message": "bad credentials"}, status_code=401)
        made = f"invented-token-{len(self.faults.seen)}"
        self.tokens[made] = self.now() + A_TOKENS_LIFE
        return JSONResponse({"token": made, "expires": int(A_TOKENS_LIFE.total_seconds()), "refresh": "invented"})

    async def _detail(self, request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.tokens.get(given, self.now()) <= self.now():
            return JSONResponse({"message": "sign in"}, status_code=401)
        found = self.details.get(request.path_params["alert_id"])
        return JSONResponse(found) if found else Response(status_code=404)


sandbox = CrsSandbox
