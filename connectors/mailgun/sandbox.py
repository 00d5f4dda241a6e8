"""A fake Mailgun: a route that posts raw mails, signed. Everything in them is invented."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from connectors.forms import media_type, multipart
from connectors.telling_mail import SENDER, TellsByMail

KEY = "invented-signing-key"
_MULTIPART = 2


class MailgunSandbox(TellsByMail):
    """Every second form is written as one with files."""

    name = "mailgun"

    @property
    def webhook_secret(self) -> str:
        """The signing key."""
        return KEY

    def bring(self, mail: bytes, to: str) -> None:
        """The route posts it."""
        self.unsent.append(self._form(mail, to, KEY))

    def made_up(self, number: int) -> bytes:
        """A mail to somebody whom nobody knows, signed by a guess."""
        return self._form(*self.nobodys(number), "guessed")

    def headers(self, body: bytes, *, forged: bool = False) -> Mapping[str, str]:
        """The media type alone: the signature is in the form."""
        return {"content-type": media_type(body)}

    def _form(self, mail: bytes, to: str, key: str) -> bytes:
        stamp, token = str(int(self.now().timestamp())), hashlib.sha256(mail).hexdigest()[:50]
        signature = hmac.digest(key.encode(), f"{stamp}{token}".encode(), "sha256").hex()
        fields: dict[str, str | bytes] = {
            "recipient": to,
            "sender": SENDER,
            "from": f"Example Monitor <{SENDER}>",
            "subject": "An alert",
            "timestamp": stamp,
            "token": token,
            "signature": signature,
            "body-mime": mail,
        }
        return urlencode(fields).encode() if self.brought % _MULTIPART else multipart(fields, token)


sandbox = MailgunSandbox
