"""A fake Method Financial on real HTTP: signed notices, accounts to be looked up, and the list of all events."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.sandboxing import Happening, Sandbox, zulu
from connectors.vocabulary import AlertKind

KEY = "sk_invented"
A_PAGE = 3
SECRET = "invented-secret-of-the-sandbox"  # noqa: S105 - not a secret: the fake provider's own
LIABILITIES: Mapping[AlertKind, str] = {
    AlertKind.NEW_ACCOUNT_CREDIT_CARD: "credit_card",
    AlertKind.NEW_ACCOUNT_PERSONAL_LOAN: "personal_loan",
    AlertKind.NEW_ACCOUNT_AUTO: "auto_loan",
    AlertKind.NEW_ACCOUNT_STUDENT_LOAN: "student_loans",
    AlertKind.NEW_ACCOUNT_MORTGAGE: "mortgage",
    AlertKind.NEW_ACCOUNT_UTILITY: "utility",
    AlertKind.NEW_ACCOUNT_INSURANCE: "insurance",
    AlertKind.NEW_ACCOUNT_BNPL_OR_PAYMENT: "bnpl",
    AlertKind.CONSEQUENCE_COLLECTION: "collection",
    AlertKind.MEDICAL_SERVICES: "medical",
}
COUNTED: Mapping[AlertKind, str] = {
    AlertKind.INQUIRY_HARD: "attribute.credit_health_hard_inquiries.increased",
    AlertKind.CONSEQUENCE_DEROGATORY: "attribute.credit_health_derogatory_marks.increased",
}


class MethodSandbox(Sandbox):
    """Tells of every event twice: by a notice, and in its list."""

    name = "method"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self.accounts: dict[str, dict[str, Any]] = {}
        self.listed: list[dict[str, Any]] = []

    def routes(self) -> Sequence[BaseRoute]:
        """The list of events, and one account."""
        return [Route("/events", self._events), Route("/accounts/{account_id}", self._account)]

    def settings(self, base_url: str) -> dict[str, Any]:
        """The connector's settings for this sandbox."""
        return {"base_url": base_url, "api_key": KEY, "requests_per_minute": 60_000}

    @property
    def webhook_secret(self) -> str:
        """What the notices are signed with."""
        return SECRET

    def tell(self, happening: Happening) -> str | None:
        """Learn of a debt, or that a number in somebody's file has grown: the event's id."""
        if happening.reference not in self.people:
            return None
        number = f"{self.seed * 1_000_000 + len(self.listed) + 1:013d}"
        if happening.kind in LIABILITIES:
            account = f"acc_{number}"
            self.accounts[account] = self._opened(account, happening)
            return self._happened(f"evt_{number}", "account.opened", account, happening)
        word = COUNTED.get(happening.kind)
        return self._happened(f"evt_{number}", word, f"attr_{number}", happening) if word else None

    def made_up(self, number: int) -> bytes:
        """A notice of an account that is not there."""
        return _notice(f"evt_madeup{number:07d}", "account.opened", f"acc_madeup{number:07d}", f"ent_nobody{number:07d}")

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """Signed as of now over the stamp, a colon and the body; if forged with a secret that nobody knows."""
        stamp = str(int(self.now().timestamp()))
        mac = hmac.digest(b"guessed" if forged else SECRET.encode(), f"{stamp}:".encode() + body, "sha256")
        return {
            "content-type": "application/json",
            "method-webhook-timestamp": stamp,
            "method-webhook-signature": mac.hex(),
        }

    def _happened(self, event: str, word: str, resource: str, happening: Happening) -> str:
        stamp = zulu(happening.at, "milliseconds")
        self.listed.append(
            {
                "id": event,
                "type": word,
                "resource_id": resource,
                "resource_type": "account" if resource.startswith("acc_") else "attribute",
                "related_ids": [happening.reference],
                "data": {"id": resource},
                "diff": {"before": None, "after": {"id": resource}},
                "created_at": stamp,
                "updated_at": stamp,
            }
        )
        self.unsent.append(_notice(event, word, resource, happening.reference))
        return event

    def _opened(self, account: str, happening: Happening) -> dict[str, Any]:
        stamp = zulu(happening.at, "milliseconds")
        return {
            "id": account,
            "holder_id": happening.reference,
            "type": "liability",
            "status": "active",
            "consent_status": "approved",
            "liability": {
                "mch_id": "mch_invented",
                "mask": happening.last_four,
                "ownership": "primary",
                "type": LIABILITIES[happening.kind],
                "name": happening.institution,
            },
            "products": ["update"],
            "restricted_products": [],
            "error": None,
            "metadata": None,
            "created_at": stamp,
            "updated_at": stamp,
        }

    async def _events(self, request: Request) -> Response:
        """Oldest first, fewer a page than are asked for. The cursor is a word that only the answer's header tells."""
        asked = request.query_params
        fitting = [event for event in self.listed if asked.get("type", event["type"]) == event["type"]]
        fitting = [event for event in fitting if event["created_at"] >= asked.get("from_date", "")]
        begin, limit = int(asked.get("page_cursor", "at-0").removeprefix("at-")), min(int(asked.get("page_limit", "100")), A_PAGE)
        more = {"pagination-page-cursor-next": f"at-{begin + limit}"} if begin + limit < len(fitting) else {}
        return _refusal(request) or JSONResponse(_envelope(fitting[begin : begin + limit]), headers=more)

    async def _account(self, request: Request) -> Response:
        found = self.accounts.get(request.path_params["account_id"])
        missing = JSONResponse(_envelope(None, "no such account"), status_code=404)
        return _refusal(request) or (JSONResponse(_envelope(found)) if found else missing)


def _envelope(data: Any, message: str | None = None) -> dict[str, Any]:
    return {"success": message is None, "data": data, "message": message}


def _notice(event: str, word: str, resource: str, entity: str) -> bytes:
    account = resource.startswith("acc_")
    body = {
        "webhook_id": "whk_invented",
        "id": resource,
        "type": word,
        "op": word.rpartition(".")[2],
        "path": f"/accounts/{resource}" if account else f"/entities/{entity}/attributes",
        "event": event,
        "refs": {"account": resource, "entity": entity} if account else {"entity": entity},
    }
    return json.dumps(body).encode()


def _refusal(request: Request) -> Response | None:
    """401 without the key, 400 without a version."""
    if request.headers.get("authorization") != f"Bearer {KEY}":
        return JSONResponse(_envelope(None, "unauthorized"), status_code=401)
    return None if request.headers.get("method-version") else JSONResponse(_envelope(None, "which version?"), status_code=400)


sandbox = MethodSandbox
