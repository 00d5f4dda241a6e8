"""A fake provider of standard alerts: signs with the unmodified `standardwebhooks` package, posts over real HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook

from connectors.contract import Malformed
from connectors.http import Client, client
from connectors.sandboxing import Happening, Sandbox
from connectors.strict_json import parse
from connectors.verifiers import StandardWebhooks
from connectors.vocabulary import AlertKind


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the receiver answered; `answer` is None when it is no JSON."""

    status: int
    answer: Any


def sign(secret: str, body: bytes, *, at: datetime, message_id: str | None = None) -> dict[str, str]:
    """The headers of one delivery. `at` is aware; `secret` is `whsec_<base64>`; the package signs UTF-8 bodies only.

    Without a message id it is made from the body, so that a second attempt has the same one, as the standard asks.
    """
    moment = at.astimezone(UTC)
    message_id = message_id or "msg_" + hashlib.sha256(body).hexdigest()[:24]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(msg_id=message_id, timestamp=moment, data=body.decode("utf-8")),
    }


class StandardSender:
    """Posts signed bodies to one connection's address. Use as `async with`, or close it."""

    def __init__(self, url: str, secret: str, http: Client | None = None) -> None:
        self._url = url
        self._secret = secret
        self._http = http or client()

    async def send(self, body: bytes, *, at: datetime, message_id: str | None = None) -> Delivered:
        """Sign as of `at` and post. Raises `connectors.http.HttpError` when no answer comes."""
        return await self._post(body, sign(self._secret, body, at=at, message_id=message_id))

    async def send_forged(self, body: bytes, *, at: datetime, message_id: str | None = None) -> Delivered:
        """Post the body signed with a secret that the receiver does not know."""
        return await self._post(body, sign(StandardWebhooks.new_secret(), body, at=at, message_id=message_id))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> StandardSender:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _post(self, body: bytes, headers: dict[str, str]) -> Delivered:
        response = await self._http.post(self._url, content=body, headers=headers)
        try:
            answer = parse(response.content)
        except Malformed:
            answer = None
        return Delivered(response.status_code, answer)


class StandardSandbox(Sandbox):
    """A provider that writes our schema: one signed body an alert, about people whom it knows and nobody else."""

    name = "standard"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`. The secret depends on the seed alone."""
        super().__init__(now, seed)
        self._told = 0

    @property
    def webhook_secret(self) -> str:
        """`whsec_<base64>`."""
        return "whsec_" + base64.b64encode(hashlib.sha256(f"standard sandbox {self.seed}".encode()).digest()).decode()

    def tell(self, happening: Happening) -> str | None:
        """Learn of something of any kind: the alert's id."""
        if happening.reference not in self.people:
            return None
        self._told += 1
        body = _alert(f"alert-{self.seed}-{self._told}", happening)
        self.unsent.append(json.dumps(body).encode())
        return str(body["id"])

    def made_up(self, number: int) -> bytes:
        """An alert about somebody who does not exist."""
        invented = Happening(f"nobody-{number}", AlertKind.NEW_ACCOUNT_CREDIT_CARD, self.now())
        return json.dumps(_alert(f"made-up-{number}", invented)).encode()

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """Signed as of now, if forged with a secret that nobody knows."""
        return sign(StandardWebhooks.new_secret() if forged else self.webhook_secret, body, at=self.now())


def _alert(alert_id: str, happening: Happening) -> dict[str, Any]:
    """The happening in our schema; what it does not say is left out. The account's opening is told of new accounts alone."""
    body = {
        "id": alert_id,
        "type": happening.kind.value,
        "member": happening.reference,
        "summary": f"Invented: {happening.kind.value}.",
        "bureau": happening.bureau,
        "institution": happening.institution,
        "last_four": happening.last_four,
        "product": happening.product,
        "amount": None if happening.amount is None else f"{happening.amount:.2f}",
        "currency": None if happening.amount is None else "USD",
        "opened": happening.opened.isoformat() if happening.opened and happening.kind.family == "new_account" else None,
        "reported": happening.at.isoformat(),
    }
    return {name: value for name, value in body.items() if value is not None}


sandbox = StandardSandbox
