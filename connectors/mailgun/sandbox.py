"""A fake Mailgun: a route that posts raw mails, signed. Everything in them is invented."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connectors.forms import media_type, multipart
from connectors.mail.samples import DOMAIN, alert_mail
from connectors.sandboxing import Happening, Sandbox
from connectors.vocabulary import AlertKind

KEY = "invented-signing-key"
_MULTIPART = 2


class MailgunSandbox(Sandbox):
    """A reference is the address that a mail is sent to. Every second form is written as one with files."""

    name = "mailgun"

    def __init__(self, now: Any, seed: int = 0) -> None:
        """See `Sandbox`."""
        super().__init__(now, seed)
        self._told = 0

    @property
    def webhook_secret(self) -> str:
        """The signing key."""
        return KEY

    def tell(self, happening: Happening) -> str | None:
        """A mail about it comes in: a number. Only to somebody whom it knows."""
        if happening.reference not in self.people:
            return None
        number = self.seed * 1_000_000 + self._told + 1
        mail = alert_mail(happening.kind, happening.reference, happening.at, number, happening.institution, happening.last_four)
        if mail is None:
            return None
        self._told += 1
        self.unsent.append(self._form(mail, happening.reference, KEY))
        return str(number)

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows, signed by a guess."""
        to = f"nobody-{number}@example.org"
        mail = alert_mail(AlertKind.INQUIRY_HARD, to, self.now(), number, "Invented Bank", None)
        return self._form(mail or b"", to, "guessed")

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """The media type alone: the signature is in the form."""
        return {"content-type": media_type(body)}

    def _form(self, mail: bytes, to: str, key: str) -> bytes:
        stamp, token = str(int(self.now().timestamp())), hashlib.sha256(mail).hexdigest()[:50]
        signature = hmac.digest(key.encode(), f"{stamp}{token}".encode(), "sha256").hex()
        fields: dict[str, str | bytes] = {
            "recipient": to,
            "sender": f"notices@{DOMAIN}",
            "from": f"Example Monitor <notices@{DOMAIN}>",
            "subject": "An alert",
            "timestamp": stamp,
            "token": token,
            "signature": signature,
            "body-mime": mail,
        }
        return urlencode(fields).encode() if self._told % _MULTIPART else multipart(fields, token)


sandbox = MailgunSandbox
